//! L10, L16, L17: connections that are forgotten on request.

use crate::laboratory::Lab;
use crate::setup::{EG, Setup};
use crate::talk::Talk;
use vswitch::switch::ConnectionView;

impl Lab {
    /// Forgets in slices, as the daemon does.
    fn forget(&mut self, wanted: impl Fn(&ConnectionView) -> bool) -> u32 {
        let (mut from, mut forgotten) = (0, 0);
        while let Some(found) =
            self.switch
                .forget_connections(from..from + 64, self.now.ms, &wanted)
        {
            forgotten += found;
            from += 64;
            self.check_audit();
        }
        forgotten
    }
}

#[test]
fn exactly_the_connections_that_are_meant_are_forgotten_and_their_packets_stay_recorded() {
    let mut lab = Lab::new(Setup::of_b("out, in udp, in tcp 80"));
    for port in 1..=100 {
        lab.sees("A", &format!("udp A:{port} > B:9"), "A> rule, >B rule");
        lab.sees("A", &format!("udp A6:{port} > B6:9"), "A> rule, >B rule");
        lab.sees("C", &format!("udp C:{port} > B:9"), "C> rule, >B rule");
    }
    lab.sees("A", "udp A:1 > C:9", "A> rule, >C default_deny");
    let mut talk = Talk::opens(("C", 4000), ("B", 80), &mut lab);
    assert_eq!(
        lab.forget(|view| view.tuple.src_port == 7 && view.tuple.src.is_ipv6()),
        1
    );
    let a = lab.number("A");
    assert_eq!(lab.forget(|view| view.ports.contains(&a)), 199);
    assert_eq!(lab.forget(|view| view.ports.contains(&a)), 0);
    assert_eq!(lab.connections().len(), 101);
    talk.passes(&mut lab, 1, "psh,ack", 10);
    assert_eq!(lab.forget(|_| true), 101);
    assert_eq!(lab.switch.connections().0, 0);
    assert_eq!(lab.switch.port(a).unwrap().connections, 0);
    lab.logs("A> rule 101, >B rule 202, C> rule 102, >C default_deny 1, B> reply 2, >C reply 2");
}

#[test]
fn what_is_over_or_only_counts_is_not_forgotten_as_a_connection() {
    let mut lab = Lab::new(Setup::of_b("out, in udp"));
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.sees("A", "tcp A:1 > B:9 syn", "A> rule, >B default_deny");
    lab.wait(30_000);
    assert_eq!(lab.forget(|_| true), 0);
}

/// A TCP connection goes on as one picked up in the middle: whoever opened it, and only who has a rule.
#[test]
fn a_forgotten_tcp_connection_is_picked_up_by_whoever_has_a_rule() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80"));
    let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    assert_eq!(lab.forget(|_| true), 1);
    // B's group has no egress rule for it, and the connection that would have let it is gone.
    let (from, text) = talk.segment(1, "psh,ack");
    lab.group("B", "in tcp 80, out udp");
    lab.sees(&from, &format!("{text} len=10"), "B> default_deny");
    talk.passes(&mut lab, 0, "psh,ack", 5);
    talk.passes(&mut lab, 1, "psh,ack", 10);

    let mut strict =
        Lab::new(Setup::of_b("in tcp 80").set(|config| config.settings.tcp_loose = false));
    let talk = Talk::opens(("A", 4000), ("B", 80), &mut strict);
    assert_eq!(strict.forget(|_| true), 1);
    let (from, text) = talk.segment(0, "psh,ack");
    strict.sees(&from, &text, "A> ct_invalid");
}

/// L10.
#[test]
fn a_forgotten_datagram_flow_is_opened_by_its_opener_alone() {
    let mut lab = Lab::new(Setup::of_b("out, in udp 9"));
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.sees("B", "udp B:9 > A:1", "B> reply, >A reply");
    assert_eq!(lab.forget(|_| true), 1);
    lab.sees("B", "udp B:9 > A:1", "B> rule, >A default_deny");
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.sees("B", "udp B:9 > A:1", "B> reply, >A reply");
}

/// What was cut and is forgotten has no way back but by a rule.
#[test]
fn a_cut_connection_that_is_forgotten_is_a_new_one() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80"));
    let talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    lab.group("B", EG);
    let (from, text) = talk.segment(0, "ack");
    lab.sees(&from, &text, "A> rule, >B revoked");
    assert_eq!(lab.forget(|_| true), 1);
    lab.sees(&from, &text, "A> rule, >B default_deny");
}

/// A reply under way looks like a new flow on the same tuple, so a cut holds both ways. Once the connection
/// is forgotten, the rules alone say who may open it.
#[test]
fn a_cut_holds_against_a_rule_of_the_other_direction_until_the_connection_is_forgotten() {
    let mut lab = Lab::new(Setup::of_b("out, in udp 500"));
    lab.sees("A", "udp A:500 > B:500", "A> rule, >B rule");
    lab.reload(|setup| setup.group("A", "out, in udp 500").group("B", EG));
    lab.sees("B", "udp B:500 > A:500", "B> revoked");
    assert_eq!(lab.forget(|view| view.tuple.src_port == 500), 1);
    lab.sees("B", "udp B:500 > A:500", "B> rule, >A rule");
    lab.sees("A", "udp A:500 > B:500", "A> reply, >B reply");
}
