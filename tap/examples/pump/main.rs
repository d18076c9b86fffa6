//! The reference pump: copies frames between two TAPs, both ways, and looks at nothing. What it
//! reaches is what the kernel allows; a switch is measured against it.
//!
//! ```text
//! pump [read_write|io_uring] TAP_A[@NETNS] TAP_B[@NETNS]
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
    let result = match arguments.as_slice() {
        ["io_uring", a, b] => run([a, b], ring::pump),
        ["read_write", a, b] | [a, b] => run([a, b], plain::pump),
        _ => {
            eprintln!("usage: pump [read_write|io_uring] TAP_A[@NETNS] TAP_B[@NETNS]");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pump: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What came from a TAP.
#[derive(Debug, Default, Clone, Copy)]
struct Copied {
    frames: u64,
    bytes: u64,
    lost: u64,
}

type Pump = fn([Queue; 2], &mut [Copied; 2], &Stop) -> Result<(), Box<dyn Error>>;

fn run(places: [&str; 2], pump: Pump) -> Result<(), Box<dyn Error>> {
    let stop = Stop(Arc::default());
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop.0))?;
    }
    let [a, b] = places;
    let queues = [open(a)?, open(b)?];
    let mut copied = [Copied::default(); 2];
    eprintln!("pump: {a} <-> {b}");
    let result = pump(queues, &mut copied, &stop);
    for (name, copied) in places.iter().zip(copied) {
        let Copied {
            frames,
            bytes,
            lost,
        } = copied;
        println!("from {name}: {frames} frames, {bytes} bytes, {lost} lost");
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
