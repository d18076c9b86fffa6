//! The packet path in memory, from the bytes to the counters.
//!
//! ```text
//! cargo bench -p vswitch --bench packets                       everything
//! cargo bench -p vswitch --bench packets -- flows ports        some of it
//! cargo bench -p vswitch --bench packets -- count KIND PACKETS no clock: for counting instructions
//! ```
//!
//! Times are processor time of one thread. `count` sends just so many packets of one kind: the difference
//! between two runs is the path alone (`cargo xtask instructions`).
#![forbid(unsafe_code)]

mod kinds;
mod lab;
mod memory;
mod template;
mod time;
mod traffic;

use kinds::COUNTED;
use lab::Lab;
use traffic::Traffic;

/// A measure: its name, and what prints it.
type Measure = (&'static str, fn(Effort));

/// What is measured when nothing is asked for.
const MEASURES: &[Measure] = &[
    ("flows", time::flows),
    ("ports", time::ports),
    ("refused", time::refused),
    ("new", time::new),
    ("memory", memory::flows),
    ("close", memory::close),
];

/// Packets that are written for `count`, whatever it sends of them: so the difference between two runs
/// holds nothing of the writing.
const PREPARED: usize = 16_000;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// The least of so many counts.
    rounds: u32,
    /// Packets or flows at most.
    most: u32,
}

impl Effort {
    const WHOLE: Self = Self {
        rounds: 5,
        most: u32::MAX,
    };
    /// Run as a test it only shows that it runs.
    const TEST: Self = Self {
        rounds: 1,
        most: 1000,
    };

    fn of(self, count: u32) -> u32 {
        count.min(self.most)
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let is_whole = words.iter().any(|word| word == "--bench");
    let effort = if is_whole {
        Effort::WHOLE
    } else {
        Effort::TEST
    };
    let words = words.iter().map(String::as_str);
    let words: Vec<&str> = words.filter(|word| !word.starts_with('-')).collect();
    match words[..] {
        ["count"] => COUNTED.iter().for_each(|(name, _)| println!("{name}")),
        ["count", name, packets] => count(name, packets.parse().expect("a number of packets")),
        ["resident", family, flows] => memory::resident(family, flows.parse().expect("a number")),
        _ => MEASURES
            .iter()
            .filter(|(name, _)| words.is_empty() || words.contains(name))
            .for_each(|(_, measure)| measure(effort)),
    }
}

/// Sends `packets` of the kind, of [`PREPARED`] that are written.
fn count(name: &str, packets: usize) {
    let kind = COUNTED.iter().find(|(known, _)| *known == name);
    let (_, kind) = kind.expect("`count` alone lists the kinds");
    let mut lab = Lab::new(kind.spec);
    let mut traffic = Traffic::new(*kind, &mut lab);
    traffic.prepare(PREPARED);
    assert!(packets <= PREPARED, "at most {PREPARED}");
    traffic.send(&mut lab, packets);
}
