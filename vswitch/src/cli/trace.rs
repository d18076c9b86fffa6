//! `vswitch trace`: what would happen to a packet, from the daemon or from a switch made of a file.

use super::args::TraceArgs;
use super::failure::Usage;
use super::output::Output;
use super::style::{Paint, Style};
use crate::config::Plan;
use crate::control::{Reply, Request, ask};
use crate::run::{Clock, load, switch_config};
use crate::switch::{Prepared, Switch};
use crate::trace::{Trace, TraceError};
use anyhow::{Context, Result, bail};
use secgroup::RuleTable;
use std::io::{self, Write};
use std::process::ExitCode;

/// Width of a stage's name.
const STAGE_WIDTH: usize = 12;

/// Traces and prints. A packet that is refused is an answer, not a failure: the exit code is 0.
pub(super) fn trace(args: TraceArgs) -> Result<ExitCode> {
    let TraceArgs {
        port,
        packet,
        config,
        ask: from,
    } = args;
    let trace = match config {
        Some(config) => in_memory(&load(&config)?, &port, &packet)?,
        None => match ask(&from.socket, &Request::Trace { port, packet })? {
            Reply::Trace(trace) => trace,
            _ => bail!(
                "the daemon answered something else than was asked; is it of another version?"
            ),
        },
    };
    let mut out = Output::stdout();
    if from.json {
        out.json(&trace)?;
    } else {
        let style = out.style();
        write(&mut out, style, &trace)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// A switch without threads and TAPs, made by the same steps as the daemon's.
fn in_memory(plan: &Plan, port: &str, packet: &str) -> Result<Trace> {
    let mut rules = RuleTable::default();
    let prepared =
        Prepared::new(switch_config(plan), &mut rules).context("the policy cannot be built")?;
    let now = Clock::start().now();
    let mut switch = Switch::new(
        now,
        0,
        plan.conntrack.limit,
        flowlog::base_window_s(&plan.loggers),
    );
    switch.apply(now, prepared)?;
    crate::trace::trace(plan, &switch, &rules, now, port, packet).map_err(|error| match error {
        TraceError::NoPort { .. } | TraceError::NoPacket { .. } => Usage(error.to_string()).into(),
        TraceError::NotAttached(_) => error.into(),
    })
}

/// Writes a trace for people.
///
/// # Errors
/// What `out` says.
pub(crate) fn write(out: &mut dyn Write, style: Style, trace: &Trace) -> io::Result<()> {
    writeln!(out, "{}", style.paint(Paint::Strong, &trace.packet))?;
    for told in &trace.stages {
        writeln!(out, "  {:<STAGE_WIDTH$}  {}", told.stage, told.text)?;
    }
    for side in &trace.sides {
        let paint = Paint::of_verdict(side.remedy.is_none());
        let verdict = style.paint(paint, &side.verdict);
        writeln!(
            out,
            "  {:<STAGE_WIDTH$}  at {}: {verdict}, {}",
            side.direction, side.port, side.why
        )?;
        if let Some(remedy) = &side.remedy {
            writeln!(out, "  {:<STAGE_WIDTH$}  {remedy}", "remedy")?;
        }
    }
    if trace.more_receivers > 0 {
        writeln!(
            out,
            "  {:<STAGE_WIDTH$}  and {} more receivers",
            "", trace.more_receivers
        )?;
    }
    writeln!(
        out,
        "{}",
        style.paint(Paint::of_verdict(trace.accepted), &trace.verdict)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const LAB: &str = "
region: KR1
vpcs: [{ name: lab }]
subnets: [{ name: app, vpc: lab, cidr: 10.77.1.0/24 }]
security_groups:
  - name: web
    rules:
      - { direction: ingress, ethertype: IPv4, protocol: tcp, port_range_min: 22, port_range_max: 22, remote_group: bastion }
  - { name: bastion, rules: [] }
  - { name: closed, default_rules: false, rules: [] }
ports:
  - { name: web, instance: web, subnet: app, mac_address: 'fa:16:3e:00:00:01', fixed_ips: [10.77.1.1], security_groups: [web], tap: { name: t1 } }
  - { name: bastion, instance: bastion, subnet: app, mac_address: 'fa:16:3e:00:00:02', fixed_ips: [10.77.1.2], security_groups: [bastion], tap: { name: t2 } }
  - { name: closed, instance: closed, subnet: app, mac_address: 'fa:16:3e:00:00:03', fixed_ips: [10.77.1.3], security_groups: [closed], tap: { name: t3 } }
";

    fn told(port: &str, packet: &str) -> String {
        let (plan, _) = Config::parse(LAB, "lab").unwrap();
        let trace = in_memory(&plan, port, packet).unwrap();
        let mut out = Vec::new();
        write(&mut out, Style::PLAIN, &trace).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_allowed_packet_tells_the_rule_on_each_side() {
        insta::assert_snapshot!(told("bastion", "tcp 10.77.1.2:40000 > 10.77.1.1:22 syn"), @r"
            tcp 10.77.1.2:40000 > 10.77.1.1:22 syn from fa:16:3e:00:00:02 to fa:16:3e:00:00:01
              received      from bastion (fa:16:3e:00:00:02)
              admitted      its source is bastion's own: no spoofing
              destination   web, by its MAC
              connection    none yet; this packet would open one (syn_sent)
              egress        at bastion: ACCEPT(rule), egress IPv4 any to any (group bastion)
              ingress       at web: ACCEPT(rule), ingress IPv4 tcp 22 from group bastion (group web)
            ACCEPT: web gets it
        ");
    }

    #[test]
    fn every_side_has_its_stage_and_an_allowed_one_its_rule_and_group() {
        let (plan, _) = Config::parse(LAB, "lab").unwrap();
        let sides = |port, packet| in_memory(&plan, port, packet).unwrap().sides;
        let allowed = sides("bastion", "tcp 10.77.1.2:40000 > 10.77.1.1:22 syn");
        assert_eq!(allowed.len(), 2);
        for (side, name) in allowed.iter().zip(["bastion", "web"]) {
            let group = plan.groups.iter().find(|group| group.name == name).unwrap();
            assert_eq!(
                (side.stage.as_str(), side.security_group_id),
                ("rules", Some(group.id))
            );
            assert!(group.rules.iter().any(|rule| Some(rule.id) == side.rule_id));
        }
        for (port, packet, stage) in [
            ("closed", "udp 10.77.1.3:1 > 10.77.1.1:53", "rules"),
            ("bastion", "udp 10.77.1.9:1 > 10.77.1.1:53", "admission"),
            (
                "bastion",
                "tcp 10.77.1.2:1 > 10.77.1.1:22 syn,ack",
                "connection",
            ),
            (
                "bastion",
                "tcp 10.77.1.2 > 10.77.1.1 frag=5:8:16",
                "fragments",
            ),
        ] {
            let refused = sides(port, packet);
            assert_eq!(
                (refused[0].stage.as_str(), refused[0].rule_id),
                (stage, None),
                "{packet}"
            );
        }
    }

    #[test]
    fn a_packet_refused_at_the_sender_says_nothing_of_the_receiver() {
        insta::assert_snapshot!(told("closed", "udp 10.77.1.3:5000 > 10.77.1.1:53"), @r"
            udp 10.77.1.3:5000 > 10.77.1.1:53 from fa:16:3e:00:00:03 to fa:16:3e:00:00:01
              received      from closed (fa:16:3e:00:00:03)
              admitted      its source is closed's own: no spoofing
              destination   web, by its MAC
              connection    none yet; this packet would open one (new)
              egress        at closed: DROP(default_deny), no rule allows it
              remedy        a rule like this in one of its groups (closed): egress IPv4 udp 53 to 10.77.1.1/32
            DROP(default_deny) at the sender, closed: nobody gets it
        ");
    }

    #[test]
    fn a_packet_refused_at_the_receiver_tells_the_rule_that_would_let_it_pass() {
        insta::assert_snapshot!(told("web", "tcp 10.77.1.1:40000 > 10.77.1.2:22 syn"), @r"
            tcp 10.77.1.1:40000 > 10.77.1.2:22 syn from fa:16:3e:00:00:01 to fa:16:3e:00:00:02
              received      from web (fa:16:3e:00:00:01)
              admitted      its source is web's own: no spoofing
              destination   bastion, by its MAC
              connection    none yet; this packet would open one (syn_sent)
              egress        at web: ACCEPT(rule), egress IPv4 any to any (group web)
              ingress       at bastion: DROP(default_deny), no rule allows it
              remedy        a rule like this in one of its groups (bastion): ingress IPv4 tcp 22 from 10.77.1.1/32
            DROP(default_deny) at the receiver, bastion; web was allowed to send it
        ");
    }

    #[test]
    fn a_broadcast_tells_every_receiver() {
        insta::assert_snapshot!(told("web", "arp who-has 10.77.1.2 tell 10.77.1.1"), @r"
            arp who-has 10.77.1.2 tell 10.77.1.1 from fa:16:3e:00:00:01 to ff:ff:ff:ff:ff:ff
              received      from web (fa:16:3e:00:00:01)
              admitted      its source is web's own: no spoofing
              destination   every other port of the subnet (group address)
              egress        at web: ACCEPT(essential), needs no rule: ARP, neighbour discovery, DHCP and their like
              ingress       at bastion: ACCEPT(essential), needs no rule: ARP, neighbour discovery, DHCP and their like
              ingress       at closed: ACCEPT(essential), needs no rule: ARP, neighbour discovery, DHCP and their like
            ACCEPT at the sender, web; 2 of 2 receivers get it
        ");
    }

    #[test]
    fn a_spoofed_packet_ends_before_anybody_is_asked() {
        insta::assert_snapshot!(told("bastion", "tcp 10.77.1.1:40000 > 10.77.1.3:22 syn"), @r"
            tcp 10.77.1.1:40000 > 10.77.1.3:22 syn from fa:16:3e:00:00:02 to fa:16:3e:00:00:03
              received      from bastion (fa:16:3e:00:00:02)
              egress        at bastion: DROP(spoof_ip), the source address is not the port's
              remedy        add 10.77.1.1 to the port's `fixed_ips` or `allowed_address_pairs` if the guest may use it
            DROP(spoof_ip) at the sender, bastion: nobody gets it
        ");
    }

    #[test]
    fn the_remedy_of_a_spoofed_packet_names_the_couple_of_address_and_mac() {
        let text = told(
            "bastion",
            "udp 10.77.1.9:1 > 10.77.1.3:2 from 00:00:5e:00:01:07",
        );
        let couple = r#"`{ ip_address: "10.77.1.9", mac_address: "00:00:5e:00:01:07" }`"#;
        assert!(
            text.contains("DROP(spoof_mac)") && text.contains(couple),
            "{text}"
        );
        let arp = told(
            "bastion",
            "arp who-has 10.77.1.9 tell 10.77.1.9 from 00:00:5e:00:01:07",
        );
        assert!(arp.contains(couple), "{arp}");
    }

    #[test]
    fn the_remedy_of_a_reserved_address_is_a_permission_where_there_can_be_one() {
        let lldp = told("bastion", "eth 0x88cc len=46 to 01:80:c2:00:00:0e");
        let remedy = "add 0x88cc to `permitted_ethertypes` of the port";
        assert!(
            lldp.contains("DROP(l2_reserved)") && lldp.contains(remedy),
            "{lldp}"
        );
        for none in [
            "eth 0x8808 len=46 to 01:80:c2:00:00:01",
            "eth 0x0026 len=46 to 01:80:c2:00:00:00",
        ] {
            let text = told("bastion", none);
            assert!(
                text.contains("DROP(l2_reserved)") && !text.contains("add 0x"),
                "{text}"
            );
        }
    }

    #[test]
    fn an_address_that_no_port_has_is_named() {
        insta::assert_snapshot!(told("web", "tcp 10.77.1.1:40000 > 10.77.1.99:80 syn"), @r"
            tcp 10.77.1.1:40000 > 10.77.1.99:80 syn from fa:16:3e:00:00:01 to 02:00:00:00:00:00
              received      from web (fa:16:3e:00:00:01)
              admitted      its source is web's own: no spoofing
              address       no port of subnet app has 10.77.1.99: the guest asks for its MAC and gets no answer
              destination   no port has this MAC
              egress        at web: ACCEPT(rule), egress IPv4 any to any (group web)
            ACCEPT at the sender, web, but no port takes it
        ");
    }

    #[test]
    fn an_address_that_the_guest_has_no_route_to_is_named() {
        insta::assert_snapshot!(told("web", "icmp 10.77.1.1 > 192.0.2.1 echo-request"), @r"
            icmp 10.77.1.1 > 192.0.2.1 echo-request from fa:16:3e:00:00:01 to 02:00:00:00:00:00
              received      from web (fa:16:3e:00:00:01)
              admitted      its source is web's own: no spoofing
              address       192.0.2.1 lies outside subnet app, which has no gateway and no uplink: the guest has no route to it
              destination   no port has this MAC
              egress        at web: ACCEPT(rule), egress IPv4 any to any (group web)
            ACCEPT at the sender, web, but no port takes it
        ");
    }

    #[test]
    fn a_packet_that_opens_nothing_is_told_what_is_wrong_with_it() {
        insta::assert_snapshot!(told("web", "tcp 10.77.1.1:22 > 10.77.1.2:40000 syn,ack"), @r"
            tcp 10.77.1.1:22 > 10.77.1.2:40000 syn,ack from fa:16:3e:00:00:01 to fa:16:3e:00:00:02
              received      from web (fa:16:3e:00:00:01)
              admitted      its source is web's own: no spoofing
              destination   bastion, by its MAC
              connection    invalid: no connection
              egress        at web: DROP(ct_invalid), it belongs to no valid connection
              remedy        look at the stage `connection` for what is wrong; a connection begins with a SYN, or with `tcp_loose` an ACK
            DROP(ct_invalid) at the sender, web: nobody gets it
        ");
    }

    #[test]
    fn a_wrong_question_is_wrong_usage() {
        let (plan, _) = Config::parse(LAB, "lab").unwrap();
        for (port, packet) in [
            ("nobody", "icmp 1.2.3.4 > 1.2.3.5 echo-request"),
            ("web", "tcp nowhere"),
        ] {
            assert!(
                in_memory(&plan, port, packet).unwrap_err().is::<Usage>(),
                "{port} {packet}"
            );
        }
    }
}
