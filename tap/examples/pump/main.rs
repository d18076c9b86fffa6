//! The reference pump: copies frames between TAPs and looks at nothing. What it reaches is what the
//! kernel allows; a switch is measured against it.
//!
//! ```text
//! pump [read_write|io_uring] TAP_A[@NETNS] TAP_B[@NETNS] [FURTHER[@NETNS] ...]
//!
//!   A ◀──▶ B     what comes from the first TAP goes to the second, and from every other one to the
//!   ▲            first: a map that is fixed, so that no frame is looked at
//!   └── FURTHER
//! ```
//!
//! The TAPs are opened as the switch opens them (virtio headers, all offloads, one queue), each frame
//! is written from the buffer it was read into, and it sleeps only when nothing waits. Ends on
//! SIGTERM or SIGINT, and when a TAP goes away. Prints what it copied.

mod plain;
mod ring;

use signal_hook::consts::{SIGINT, SIGTERM};
use std::{
    env,
    error::Error,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tap::{Netns, Queue, Tap, TapOptions};

/// Longest sleep: a signal between the look at the flag and the sleep waits as long.
const SLEEP: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (pump, places): (Pump, _) = match arguments.as_slice() {
        ["io_uring", places @ ..] => (ring::pump, places),
        ["read_write", places @ ..] | places => (plain::pump, places),
    };
    if places.len() < 2 {
        eprintln!(
            "usage: pump [read_write|io_uring] TAP_A[@NETNS] TAP_B[@NETNS] [FURTHER[@NETNS] ...]"
        );
        return ExitCode::from(2);
    }
    let result = run(places, pump);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pump: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What went to a TAP.
#[derive(Debug, Default, Clone, Copy)]
struct Copied {
    frames: u64,
    bytes: u64,
    lost: u64,
}

/// Where frames of a TAP go: from the first to the second, from all others to the first.
const fn destination(from: usize) -> usize {
    (from == 0) as usize
}

type Pump = fn(Vec<Queue>, &mut [Copied], &Stop) -> Result<(), Box<dyn Error>>;

fn run(places: &[&str], pump: Pump) -> Result<(), Box<dyn Error>> {
    let stop = Stop(Arc::default());
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop.0))?;
    }
    let queues = places.iter().map(|place| open(place));
    let queues = queues.collect::<Result<Vec<_>, _>>()?;
    let mut copied = vec![Copied::default(); queues.len()];
    eprintln!("pump: {}", places.join(" "));
    let result = pump(queues, &mut copied, &stop);
    for (name, copied) in places.iter().zip(copied) {
        let Copied {
            frames,
            bytes,
            lost,
        } = copied;
        println!("to {name}: {frames} frames, {bytes} bytes, {lost} lost");
    }
    result
}

/// `TAP` or `TAP@NETNS`.
fn open(place: &str) -> Result<Queue, Box<dyn Error>> {
    let (name, netns) = match place.split_once('@') {
        Some((name, netns)) => (name, Some(Netns::parse(netns)?)),
        None => (place, None),
    };
    let tap = Tap::open(&TapOptions {
        netns,
        ..TapOptions::new(name)
    })?;
    let mut queues = tap.into_queues();
    Ok(queues.remove(0))
}

/// Whether a signal has come.
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
