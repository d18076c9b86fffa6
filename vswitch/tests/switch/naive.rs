//! The verdicts of UDP and ICMP echo over IPv4, against an interpreter that walks all rules one by one and
//! keeps its flows in a map.

use crate::laboratory::Lab;
use crate::random::{NAMES, RULES, groups, start};
use proptest::prelude::*;
use std::collections::HashMap;

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// O17, X20, P24, Z01 in small: UDP and ICMP echo over IPv4 against a naive interpreter.
    #[test]
    fn verdicts_equal_those_of_a_naive_interpreter(steps in prop::collection::vec(step(), 1..150)) {
        let mut lab = Lab::new(start());
        let mut naive = Naive::default();
        for step in &steps {
            match step {
                Step::Rules { of, rules } => {
                    lab.group(NAMES[*of], RULES[*rules]);
                    naive.epoch += 1;
                }
                Step::Join { who, on } => {
                    let wanted = groups(NAMES[*who], 1 + usize::from(*on));
                    lab.reload(|setup| setup.groups_of(NAMES[*who], &wanted));
                }
                Step::Wait { ms } => lab.wait(*ms),
                Step::Sweep => lab.tick(1),
                Step::Say { from, to, what } => {
                    let expected = naive.judge(&lab, *from, *to, *what);
                    let sent = lab.send(NAMES[*from], &what.text(NAMES[*from], NAMES[*to]));
                    prop_assert_eq!(sent.fate, expected);
                }
            }
        }
        lab.rows();
    }
}

#[derive(Debug, Clone)]
enum Step {
    Say { from: usize, to: usize, what: What },
    Rules { of: usize, rules: usize },
    Join { who: usize, on: bool },
    Wait { ms: u64 },
    Sweep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Udp(u16, u16),
    Ask(u16),
    Answer(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let what = prop_oneof![
        4 => (1_u16..4, 1_u16..4).prop_map(|(src, dst)| What::Udp(src, dst)),
        1 => (1_u16..3).prop_map(What::Ask),
        1 => (1_u16..3).prop_map(What::Answer),
    ];
    prop_oneof![
        20 => (0..4_usize, 0..4_usize, what).prop_filter("two of them", |(from, to, _)| from != to)
            .prop_map(|(from, to, what)| Step::Say { from, to, what }),
        3 => (0..3_usize, 0..RULES.len()).prop_map(|(of, rules)| Step::Rules { of, rules }),
        1 => (0..3_usize, any::<bool>()).prop_map(|(who, on)| Step::Join { who, on }),
        3 => prop::sample::select(vec![1, 1_999, 2_001, 29_999, 30_000, 119_999]).prop_map(|ms| Step::Wait { ms }),
        1 => Just(Step::Sweep),
    ]
}

impl What {
    fn text(self, from: &str, to: &str) -> String {
        match self {
            Self::Udp(src, dst) => format!("udp {from}:{src} > {to}:{dst}"),
            Self::Ask(id) => format!("icmp {from} > {to} echo-request id={id}"),
            Self::Answer(id) => format!("icmp {from} > {to} echo-reply id={id}"),
        }
    }

    fn reversed(self) -> Self {
        match self {
            Self::Udp(src, dst) => Self::Udp(dst, src),
            Self::Ask(id) => Self::Answer(id),
            Self::Answer(id) => Self::Ask(id),
        }
    }
}

/// What is known of a flow: when it began and was last let pass, and whether it was answered.
#[derive(Debug, Clone, Copy)]
struct Flow {
    born_ms: u64,
    seen_ms: u64,
    answered: bool,
    stream: bool,
}

/// Rules walked one by one, flows in a map.
#[derive(Debug, Default)]
struct Naive {
    flows: HashMap<(usize, usize, What), Flow>,
    epoch: u32,
}

impl Naive {
    fn judge(&mut self, lab: &Lab, from: usize, to: usize, what: What) -> String {
        let now_ms = lab.now.wall_us / 1000;
        let live = |flow: &&Flow| {
            let idle_ms = if flow.stream { 120_000 } else { 30_000 };
            now_ms - flow.seen_ms < idle_ms
        };
        let (key, reply_to) = ((from, to, what), (to, from, what.reversed()));
        let known = |key| self.flows.get(key).filter(live).copied();
        let (original, reply, flow) = match (known(&key), known(&reply_to)) {
            (Some(flow), _) => (key, false, Some(flow)),
            (None, Some(flow)) => (reply_to, true, Some(flow)),
            (None, None) => (key, false, None),
        };
        if flow.is_none() && matches!(what, What::Answer(_)) {
            let filtered = |who: usize| NAMES[who] != "U";
            return if filtered(from) {
                say(from, to, "ct_invalid", "")
            } else {
                say(from, to, "unfiltered", "ct_invalid")
            };
        }
        let why = |who: usize, egress: bool| match (
            NAMES[who] == "U",
            allows(lab, who, egress, original),
            flow,
            reply,
        ) {
            (true, ..) => "unfiltered",
            (_, true, _, true) => "reply",
            (_, true, ..) => "rule",
            (_, false, Some(_), _) => "revoked",
            (_, false, None, _) => "default_deny",
        };
        // The original direction's sides, in the order in which this packet meets them.
        let (first, second) = (why(from, !reply), why(to, reply));
        let passes = |why: &str| !matches!(why, "revoked" | "default_deny");
        if passes(first) && passes(second) {
            let mut flow = flow.unwrap_or(Flow {
                born_ms: now_ms,
                seen_ms: now_ms,
                answered: false,
                stream: false,
            });
            flow.seen_ms = now_ms;
            flow.answered |= reply;
            flow.stream |=
                flow.answered && now_ms - flow.born_ms > 2000 && matches!(what, What::Udp(..));
            self.flows.insert(original, flow);
        }
        if passes(first) {
            say(from, to, first, second)
        } else {
            say(from, to, first, "")
        }
    }
}

fn say(from: usize, to: usize, first: &str, second: &str) -> String {
    match second {
        "" => format!("{}> {first}", NAMES[from]),
        _ => format!("{}> {first}, >{} {second}", NAMES[from], NAMES[to]),
    }
}

/// Whether a guest's rules let the original direction of a flow out (or in).
fn allows(lab: &Lab, who: usize, egress: bool, (from, to, what): (usize, usize, What)) -> bool {
    use packet::Direction;
    use secgroup::{Ethertype, Remote, Service};
    let port = |who: usize| {
        &lab.setup
            .config
            .ports
            .iter()
            .find(|port| port.name == NAMES[who])
            .unwrap()
            .spec
    };
    let remote = port(if egress { to } else { from });
    let address = remote.fixed_ips[0];
    let groups = &lab.setup.config.model.groups;
    let mine = groups
        .iter()
        .filter(|group| port(who).groups.contains(&group.id));
    mine.flat_map(|group| &group.rules).any(|rule| {
        let direction = if egress {
            Direction::Egress
        } else {
            Direction::Ingress
        };
        let service = match (rule.service, what) {
            (Service::Any, _) => true,
            (Service::Ports { min, max }, What::Udp(_, dst)) => (min..=max).contains(&dst),
            (Service::Icmp { kind, .. }, What::Ask(_)) => kind == 8,
            _ => false,
        };
        let number = if matches!(what, What::Udp(..)) { 17 } else { 1 };
        let whom = match &rule.remote {
            Remote::Any => true,
            Remote::Prefix(prefix) => prefix.contains(&address),
            Remote::Group(id) => remote.groups.contains(id),
            Remote::AddressGroup(_) => false,
        };
        rule.direction == direction
            && rule.ethertype == Ethertype::Ipv4
            && rule.protocol.is_none_or(|protocol| protocol == number)
            && service
            && whom
    })
}
