//! Security Groups: rules are compiled into a policy, which names the rule that allows a flow.
//! Allow-only, a union of groups, and what no rule allows is refused.
//!
//! Next: `03_two_guests_in_memory`, where the answer to an allowed packet needs no rule.

use anyhow::{Context, Result};
use packet::{Direction, Headers, Mac, Offload, PacketSpec};
use secgroup::{Flow, Group, Members, Policy, Rule, RuleTable};
use uuid::Uuid;

fn main() -> Result<()> {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"vswitch:security_group:web");
    let web = Group {
        id,
        name: "web".into(),
        rules: vec![
            Rule::parse("ingress IPv4 tcp 80 from any", id)?,
            Rule::parse("ingress IPv4 tcp 22 from 10.77.1.0/24", id)?,
            Rule::parse("ingress IPv4 icmp type 8 from 10.77.0.0/16", id)?,
        ],
        stateful: true,
    };

    // Numbers stand for rules in the packet path; the table knows which is which.
    let mut numbers = RuleTable::default();
    let policy = Policy::compile(&[&web], &[], &mut numbers)?;
    let members = Members::default();

    for text in [
        "tcp 192.0.2.7:40000 > 10.77.1.12:80 syn",
        "tcp 192.0.2.7:40000 > 10.77.1.12:22 syn",
        "tcp 10.77.1.11:40000 > 10.77.1.12:22 syn",
        "icmp 10.77.9.9 > 10.77.1.12 echo-request",
        "udp 10.77.1.11:40000 > 10.77.1.12:53",
    ] {
        let packet: PacketSpec = text.parse()?;
        let bytes = packet.build(Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let headers = Headers::parse(&bytes, Offload::default())?;
        let ip = headers.ip().context("the packets above are IP")?;

        // Ingress is seen from the instance: the remote side is the source.
        let flow = Flow::of(Direction::Ingress, 0, &headers, ip);
        let rule = policy
            .classify(Direction::Ingress, &flow, &members)
            .and_then(|number| numbers.lookup(number))
            .and_then(|found| web.rules.iter().find(|rule| rule.id == found.rule));
        match rule {
            Some(rule) => println!("ACCEPT  {text:45} by {rule}"),
            None => println!("DROP    {text:45} no rule"),
        }
    }
    Ok(())
}
