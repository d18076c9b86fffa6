//! Random conversations, directed: both ends mostly say what they should, and often almost.
//!
//! `VSWITCH_SEED` replays a seed, `VSWITCH_SEQUENCES` plays more of them. A failure prints the
//! conversation as a script, which can be played by itself.

use crate::{
    differences::Story,
    judged::Judged,
    pair::Pair,
    segment::{Number, Segment},
};
use packet::tcp_flags::{ACK, FIN, PSH, RST, SYN, URG};
use std::collections::BTreeMap;

/// Conversations of a default run.
const SEQUENCES: u64 = 60;
/// Segments of a conversation.
const SEGMENTS: usize = 30;
const SEED: u64 = 20_260_101;
/// Of a hundred conversations, how many may end at a known difference.
const DIFFERENT_PERCENT: u64 = 60;

/// How many failures are printed.
const SHOWN: usize = 5;

/// SplitMix64: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u32) -> u32 {
        (self.next() % u64::from(n)) as u32
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u32) as usize]
    }

    /// Near zero mostly, and anywhere at times.
    fn offset(&mut self) -> i32 {
        let reach = self.of(&[1, 3, 100, 1500, 4000, 70_000, i32::MAX as u32]);
        let offset = self.below(reach) as i32 + 1;
        if self.one_in(2) { offset } else { -offset }
    }
}

/// The segment an end says next.
fn random_segment(dice: &mut Dice) -> (usize, Segment) {
    let end = dice.below(2) as usize;
    let mut segment = Segment {
        flags: ACK,
        ..Segment::default()
    };
    match dice.below(20) {
        0..=8 => segment.len = dice.of(&[0, 0, 1, 100, 700, 1400]) as u16,
        9 => (segment.seq, segment.len) = (Some(Number::Off(-1)), dice.below(2) as u16),
        10 | 11 => segment.seq = Some(Number::Off(dice.offset())),
        12 => segment.ack = Some(Number::Off(dice.offset())),
        13 => segment.window = Some(dice.of(&[0, 1, 500, 4000])),
        14 | 15 => segment.flags = FIN | ACK,
        16 => {
            segment.flags = dice.of(&[RST, RST | ACK]);
            if dice.one_in(2) {
                segment.seq = Some(Number::Off(dice.offset()));
            }
        }
        17 => {
            segment.flags = SYN;
            segment.seq =
                Some(dice.of(&[Number::At(0), Number::Off(70_000), Number::Off(-70_000)]));
        }
        18 => {
            segment.flags = SYN | ACK;
            segment.seq = Some(Number::At(0));
            if dice.one_in(2) {
                let astray = Number::Off(dice.offset());
                segment.ack = Some(dice.of(&[Number::At(1), astray]));
            }
        }
        _ => {
            segment.flags = dice.of(&[
                0,
                FIN,
                URG,
                SYN | FIN,
                SYN | RST,
                FIN | PSH | URG,
                ACK | URG,
            ]);
        }
    }
    if segment.len > 0 {
        segment.flags |= PSH;
    }
    (end, segment)
}

/// How conversations begin: as they should, in the middle, from both ends, or with nonsense.
fn opening(dice: &mut Dice) -> Vec<(usize, Segment)> {
    let options = dice.of(&["", "", "sackok", "wscale=2 sackok"]);
    let syn = Segment::parse(&format!("syn {options}"));
    let syn_ack = Segment::parse(&format!("syn,ack {options}"));
    let ack = Segment::parse("ack win=500");
    let again = Segment::parse(&format!("syn,ack seq=0 {options}"));
    match dice.below(8) {
        0 => vec![],
        1 => vec![(0, ack)],
        2 => vec![(0, syn.clone()), (1, syn), (0, again.clone()), (1, again)],
        3 => vec![(0, syn)],
        _ => vec![(0, syn), (1, syn_ack), (0, ack)],
    }
}

fn from_env(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

#[test]
fn random_conversations_are_judged_as_the_kernel_judges_them() {
    let (first, count) = (
        from_env("VSWITCH_SEED", SEED),
        from_env("VSWITCH_SEQUENCES", SEQUENCES),
    );
    let mut pair = Pair::new();
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let mut compared = 0;
    let mut unknown = vec![];
    for seed in first..first + count {
        let (segments, end) = converse(&mut pair, seed);
        compared += segments;
        match end {
            End::Agreed => {}
            End::Known(name) => *seen.entry(name).or_default() += 1,
            End::Unknown(script) => unknown.push(script),
        }
    }
    let different: u64 = seen.values().sum();
    println!(
        "{count} conversations from seed {first}, {compared} segments compared; ended at a known difference: {seen:?}"
    );
    assert!(
        unknown.is_empty(),
        "{} conversations part at no known difference, such as\n{}",
        unknown.len(),
        unknown
            .iter()
            .take(SHOWN)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    );
    assert!(different * 100 <= count * DIFFERENT_PERCENT, "{seen:?}");
}

/// How a conversation came to its end.
enum End {
    /// Both said the same throughout.
    Agreed,
    /// At a difference of this name.
    Known(&'static str),
    /// At one that has no name; the conversation as a script.
    Unknown(String),
}

/// Plays one conversation up to its end or to the first difference; tells how many segments were
/// compared.
fn converse(pair: &mut Pair, seed: u64) -> (usize, End) {
    let mut dice = Dice(seed);
    let mut talk = pair.talk(dice.one_in(4));
    let mut story = Story::default();
    let mut lines = vec![format!("seed {seed}")];
    let mut to_say = opening(&mut dice);
    to_say.reverse();
    for said in 0..SEGMENTS {
        let (end, segment) = to_say.pop().unwrap_or_else(|| random_segment(&mut dice));
        let before = talk.clone();
        let frame = talk.frame(end, &segment);
        let [kernel, ours] = pair.show(end, &frame, talk.number);
        lines.push(format!(
            "{} {segment} | {}; switch {}",
            ["a", "b"][end],
            kernel.text(),
            ours.text()
        ));
        if kernel.text() != ours.text() {
            let end = match story.explain(end, &frame, &kernel, &ours) {
                Some(name) => End::Known(name),
                None => End::Unknown(lines.join("\n")),
            };
            return (said, end);
        }
        story.tell(end, &frame, &kernel);
        if kernel.judged == Judged::Invalid {
            // It did not arrive.
            talk = before;
        }
    }
    (SEGMENTS, End::Agreed)
}
