//! The verdict oracle: the switch against an interpreter of the same contract.
//!
//! ```text
//!   author ──▶ story ──┬─▶ packets → bytes ─▶ the switch ──────▶ verdicts, deliveries, counters, log ─┐
//!                      └─▶ words ───────────▶ the interpreter ─▶ what they have to be ───────────────┴▶ equal
//! ```
//!
//! The interpreter (`judge`, `track`, `model`, `guard`, `conntrack`, `tcp`, `related`, `places`, `ledger`) is written
//! from SPEC and reference and shares nothing with the switch but plain types: the words of a packet, the
//! configuration. Where they part, the story is cut down to the lines it takes and printed.
//!
//! `ORACLE_SEED` is the first story's seed, `ORACLE_STEPS` how many packets are told, `ORACLE_STORY` a file
//! with one story instead.
#![allow(
    clippy::unwrap_used,
    reason = "what a helper cannot build is a failed test"
)]

mod author;
mod conntrack;
mod coverage;
mod dice;
mod drive;
mod guard;
mod judge;
mod ledger;
mod model;
mod packets;
mod places;
mod related;
mod seen;
mod shrink;
mod story;
mod tcp;
mod track;
mod world;

use coverage::Coverage;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use story::Story;

/// Packets told unless asked for otherwise.
const STEPS: u64 = 2_000_000;
/// From so many on, everything that can occur has occurred.
const STEPS_TO_SEE_ALL: u64 = 1_000_000;

/// Every verdict with its reason and rule, every delivery, connection, counter and record.
#[test]
fn the_switch_does_what_the_interpreter_of_its_contract_says() {
    if let Ok(file) = std::env::var("ORACLE_STORY") {
        let story: Story = std::fs::read_to_string(file).unwrap().parse().unwrap();
        drive::tell(&story).unwrap();
        return;
    }
    let seed = number("ORACLE_SEED").unwrap_or_else(fresh_seed);
    let steps = number("ORACLE_STEPS").unwrap_or(STEPS);
    println!("ORACLE_SEED={seed} ORACLE_STEPS={steps}");
    let started = Instant::now();
    let (packets, coverage) = tell_stories(seed, steps);
    let seconds = started.elapsed().as_secs_f64();
    println!("{packets} packets in {seconds:.1} s\n{coverage}");
    if steps >= STEPS_TO_SEE_ALL {
        assert_eq!(
            coverage.missing(),
            Vec::<String>::new(),
            "what no story came to (ORACLE_SEED={seed})"
        );
    }
}

/// Stories of consecutive seeds, on every processor.
fn tell_stories(seed: u64, steps: u64) -> (u64, Coverage) {
    let (next, told, stopped) = (
        AtomicU64::new(seed),
        AtomicU64::new(0),
        AtomicBool::new(false),
    );
    let tell = || {
        let mut coverage = Coverage::default();
        while told.load(Ordering::Relaxed) < steps && !stopped.load(Ordering::Relaxed) {
            let story = author::write(next.fetch_add(1, Ordering::Relaxed));
            match shrink::try_to_tell(&story) {
                Ok(end) => {
                    told.fetch_add(end.packets, Ordering::Relaxed);
                    coverage.add(&end.coverage);
                }
                Err(_) if stopped.swap(true, Ordering::Relaxed) => {}
                Err(_) => wrong(&story),
            }
        }
        coverage
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let coverage = thread::scope(|scope| {
        let tellers: Vec<_> = (0..threads).map(|_| scope.spawn(tell)).collect();
        let mut all = Coverage::default();
        for teller in tellers {
            match teller.join() {
                Ok(coverage) => all.add(&coverage),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    (told.into_inner(), coverage)
}

/// The shortest story that goes wrong, and how.
fn wrong(story: &Story) -> ! {
    let short = shrink::shrink(story, |story| shrink::try_to_tell(story).is_err());
    let why = shrink::try_to_tell(&short).err().unwrap_or_default();
    panic!(
        "the switch and the interpreter part (ORACLE_SEED={}):\n{short}\n{why}",
        story.seed
    );
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_nanos() as u64 % 1_000_000_000
}

#[test]
fn a_story_that_was_written_down_is_the_same_story() {
    for seed in 0..20 {
        let text = author::write(seed).to_string();
        let again: Story = text.parse().unwrap();
        for (read, written) in again.to_string().lines().zip(text.lines()) {
            assert_eq!(read, written.trim_end());
        }
    }
}

#[test]
fn a_story_is_cut_down_to_the_lines_that_matter() {
    let story = author::write(1);
    let marks: Vec<String> = [50, 200, 390]
        .iter()
        .map(|at| story.events[*at].to_string())
        .collect();
    let has_all = |story: &Story| {
        let lines: Vec<String> = story.events.iter().map(ToString::to_string).collect();
        marks.iter().all(|mark| lines.contains(mark))
    };
    assert_eq!(shrink::shrink(&story, has_all).events.len(), 3);
}
