//! Both of them, shown the same packets.

use crate::{
    differences::KNOWN,
    judged::{Entry, Judged},
    oracle::{Oracle, Sysctls},
    ours::{self, Ours},
    segment::{Segment, Talk},
};
use netns_tests::PortPlan;
use std::net::IpAddr;

/// Between the two readings of the clocks a second may end.
const CLOCK_S: u64 = 1;
/// The first number given to a conversation.
const FIRST_NUMBER: u16 = 1024;

/// The kernel and the switch.
pub(crate) struct Pair {
    pub(crate) oracle: Oracle,
    pub(crate) switch: Ours,
    pub(crate) guests: [PortPlan; 2],
    number: u16,
}

/// What both say of one packet, and how its connection stands with either afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) judged: Judged,
    pub(crate) entry: Option<Entry>,
}

impl Answer {
    /// `new SYN_SENT`, as the scripts write it.
    pub(crate) fn text(&self) -> String {
        let state = self.entry.as_ref().map_or("-", |entry| &entry.state);
        format!("{} {state}", self.judged.word())
            .trim_end()
            .to_owned()
    }

    /// Whether the same was said: judgement, state, timeout, whether a reply was seen.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        let entries = match (&self.entry, &other.entry) {
            (Some(one), Some(other)) => {
                one.state == other.state
                    && one.replied == other.replied
                    && one.seconds.abs_diff(other.seconds) <= CLOCK_S
            }
            (one, other) => one == other,
        };
        self.judged == other.judged && entries
    }
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::with(&[], "")
    }

    /// With other settings of conntrack, in the kernel's words and in ours.
    pub(crate) fn with(sysctls: Sysctls<'_>, conntrack: &str) -> Self {
        let plan = ours::plan(conntrack);
        let guests = ours::guests(&plan);
        let addresses = |port: &PortPlan| vec![IpAddr::V4(port.ip()), port.ip6().into()];
        let mut ends = [addresses(&guests[0]), addresses(&guests[1])];
        for router in [ours::ROUTER, ours::ROUTER6] {
            ends[1].push(router.parse().unwrap());
        }
        Self {
            oracle: Oracle::start(ends, sysctls),
            switch: Ours::start(&plan),
            guests,
            number: FIRST_NUMBER,
        }
    }

    /// A port or identifier that no conversation has had.
    pub(crate) fn next_number(&mut self) -> u16 {
        self.number += 1;
        self.number
    }

    /// A conversation with nothing said yet.
    pub(crate) fn talk(&mut self, ipv6: bool) -> Talk {
        let number = self.next_number();
        Talk::new(&self.guests, number, ipv6)
    }

    /// Shows a frame of conversation `number` to both: the kernel's answer, then the switch's.
    pub(crate) fn show(&mut self, end: usize, frame: &[u8], number: u16) -> [Answer; 2] {
        let judged = [
            self.oracle.judge(end, frame),
            self.switch.judge(end, frame, number),
        ];
        let entries = [self.oracle.entry(number), self.switch.entry(number)];
        let [kernel, ours] = judged;
        let [in_kernel, in_ours] = entries;
        [
            Answer {
                judged: kernel,
                entry: in_kernel,
            },
            Answer {
                judged: ours,
                entry: in_ours,
            },
        ]
    }

    /// Plays a script over IPv4 and IPv6. A line is `END SEGMENT | ANSWER`, where the answer is
    /// judgement and state (`-` where there is no entry), and of both; `KERNEL; switch OURS: NAME` for
    /// a difference of that name.
    #[track_caller]
    pub(crate) fn play(&mut self, script: &str) {
        for ipv6 in [false, true] {
            let mut talk = self.talk(ipv6);
            self.play_on(&mut talk, script);
        }
    }

    /// As [`Self::play`], on a conversation that goes on.
    #[track_caller]
    pub(crate) fn play_on(&mut self, talk: &mut Talk, script: &str) {
        let lines = script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty());
        for (number, line) in lines.enumerate() {
            let (said, expected) = line.split_once('|').unwrap_or((line, ""));
            let (end, text) = said.trim().split_once(' ').unwrap_or((said, ""));
            let end = usize::from(end == "b");
            let frame = talk.frame(end, &Segment::parse(text));
            let answers = self.show(end, &frame, talk.number);
            let place = format!("line {}: {line}", number + 1);
            check(&answers, expected.trim(), &place);
        }
    }
}

/// Holds both answers against what is expected.
#[track_caller]
pub(crate) fn check(answers: &[Answer; 2], expected: &str, place: &str) {
    let [kernel, ours] = answers;
    let Some((of_kernel, rest)) = expected.split_once("; switch ") else {
        assert!(
            kernel.agrees(ours),
            "{place}\nkernel {kernel:?}\nswitch {ours:?}"
        );
        assert_eq!(kernel.text(), expected, "{place}\n{kernel:?}");
        return;
    };
    let (of_ours, name) = rest.split_once(": ").unwrap();
    assert!(
        KNOWN.contains(&name),
        "{place}: the difference {name} is not listed"
    );
    assert_eq!(kernel.text(), of_kernel, "{place}\nkernel {kernel:?}");
    assert_eq!(ours.text(), of_ours, "{place}\nswitch {ours:?}");
    assert!(
        !kernel.agrees(ours),
        "{place}: the difference {name} has gone"
    );
}
