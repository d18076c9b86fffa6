//! The connection's key holds both switch ports: what a port saw of a tuple with one port at its other end
//! counts for nothing with another. SPEC says otherwise: a packet is a reply at a port if **that port**
//! accepted the other direction of the tuple in this segment. Until the key is what it says, these tests
//! name the right fates and are expected to panic with today's wrong one; mended, they fail loudly, and
//! their `should_panic` goes.

use crate::laboratory::Lab;
use crate::setup::{OPEN, Setup};
use packet::Mac;
use secgroup::Pair;
use vswitch::switch::PortConfig;

/// The address of the service.
const VIP: &str = "10.0.0.100";

fn may_use(address: &str) -> impl Fn(&mut PortConfig) {
    let prefix = format!("{address}/32").parse().unwrap();
    move |port| {
        let pairs = &mut port.spec.allowed_address_pairs;
        pairs.push(Pair { prefix, mac: None });
    }
}

/// A is a client, C a director that forwards its packets as they are, B a real server that answers itself.
fn direct_return() -> Lab {
    let setup = ["A", "B", "C"]
        .into_iter()
        .fold(Setup::new(), |setup, name| setup.group(name, OPEN));
    let setup = setup.port("B", may_use(VIP)).port("C", may_use(VIP));
    Lab::new(setup.port("C", may_use("10.0.0.10")))
}

#[test]
#[should_panic(expected = "left: \"B> ct_invalid\"")]
fn a_real_server_answers_straight_to_the_client_whose_syn_came_by_a_director() {
    let mut lab = direct_return();
    let syn = format!("tcp A:4000 > {VIP}:80 syn seq=1000");
    lab.sees(
        "A",
        &format!("{syn} to fa:16:3e:00:00:0c"),
        "A> rule, >C rule",
    );
    lab.sees(
        "C",
        &format!("{syn} to fa:16:3e:00:00:0b"),
        "C> rule, >B rule",
    );
    let syn_ack = format!("tcp {VIP}:80 > A:4000 syn,ack seq=9 ack=1001");
    lab.sees("B", &syn_ack, "B> reply, >A reply");
}

#[test]
#[should_panic(expected = "left: \"B> ct_invalid\"")]
fn a_real_server_answers_straight_to_the_client_whose_echo_request_came_by_a_director() {
    let mut lab = direct_return();
    let asks = format!("icmp A > {VIP} echo-request id=1");
    lab.sees(
        "A",
        &format!("{asks} to fa:16:3e:00:00:0c"),
        "A> rule, >C rule",
    );
    lab.sees(
        "C",
        &format!("{asks} to fa:16:3e:00:00:0b"),
        "C> rule, >B rule",
    );
    let answers = format!("icmp {VIP} > A echo-reply id=1");
    lab.sees("B", &answers, "B> reply, >A reply");
}

/// UDP passes today, but by a rule where the answer is a reply.
#[test]
#[should_panic(expected = "left: \"B> rule, >A rule\"")]
fn a_real_server_s_udp_answer_by_another_way_is_a_reply() {
    let mut lab = direct_return();
    let asks = format!("udp A:4000 > {VIP}:53");
    lab.sees(
        "A",
        &format!("{asks} to fa:16:3e:00:00:0c"),
        "A> rule, >C rule",
    );
    lab.sees(
        "C",
        &format!("{asks} to fa:16:3e:00:00:0b"),
        "C> rule, >B rule",
    );
    lab.sees("B", &format!("udp {VIP}:53 > A:4000"), "B> reply, >A reply");
}

/// The virtual address moves to B, which has the connection's state (a pair of firewalls that tell each other).
#[test]
#[should_panic(expected = "left: \"A> ct_invalid\"")]
fn an_established_connection_follows_its_virtual_address_without_being_picked_up_anew() {
    let mac: Mac = "00:00:5e:00:01:01".parse().unwrap();
    let shares = |port: &mut PortConfig| {
        let prefix = format!("{VIP}/32").parse().unwrap();
        let pairs = &mut port.spec.allowed_address_pairs;
        pairs.push(Pair {
            prefix,
            mac: Some(mac),
        });
    };
    let setup = ["A", "B", "C"]
        .into_iter()
        .fold(Setup::new(), |setup, name| setup.group(name, OPEN));
    let setup = setup.port("B", shares).port("C", shares);
    let mut lab = Lab::new(setup.set(|config| config.settings.tcp_loose = false));
    let (to, from) = (format!("to {mac}"), format!("from {mac}"));
    lab.send("C", &format!("udp {VIP}:1 > A:9 {from}"));
    let syn = format!("tcp A:4000 > {VIP}:80 syn seq=1000 {to}");
    lab.sees("A", &syn, "A> rule, >C rule");
    let syn_ack = format!("tcp {VIP}:80 > A:4000 syn,ack seq=9 ack=1001 {from}");
    lab.sees("C", &syn_ack, "C> reply, >A reply");
    lab.send("B", &format!("udp {VIP}:1 > A:9 {from}"));
    let data = format!("tcp A:4000 > {VIP}:80 psh,ack seq=1001 ack=10 len=10 {to}");
    lab.sees("A", &data, "A> rule, >B rule");
}
