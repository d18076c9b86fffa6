//! The reference pump: copies frames between two TAPs, both ways, and looks at nothing. What it
//! reaches is what the kernel allows; a switch is measured against it.
//!
//! ```text
//! pump TAP_A[@NETNS] TAP_B[@NETNS]
//! ```
//!
//! The TAPs are opened as the switch opens them (virtio headers, all offloads, one queue), each frame
//! is written from the buffer it was read into, and it sleeps only when nothing waits. Ends on
//! SIGTERM or SIGINT, and when a TAP goes away. Prints what it copied.

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
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
use tap::{MAX_FRAME, Netns, Queue, Tap, TapOptions, vanished};

/// Frames taken from one TAP before the other has its turn, as in the switch.
const BUDGET: usize = 64;
/// Longest sleep: a signal between the look at the flag and the sleep waits as long.
const SLEEP: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [a, b] = arguments.as_slice() else {
        eprintln!("usage: pump TAP_A[@NETNS] TAP_B[@NETNS]");
        return ExitCode::from(2);
    };
    match run(a, b) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pump: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(a: &str, b: &str) -> Result<(), Box<dyn Error>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let mut pump = Pump::new([open(a)?, open(b)?])?;
    eprintln!("pump: {a} <-> {b}");
    let result = pump.run(&stop);
    for (side, name) in pump.sides.iter().zip([a, b]) {
        let Side {
            frames,
            bytes,
            lost,
            ..
        } = side;
        println!("from {name}: {frames} frames, {bytes} bytes, {lost} lost");
    }
    result
}

/// `TAP` or `TAP@NETNS`.
fn open(place: &str) -> Result<Tap, Box<dyn Error>> {
    let (name, netns) = match place.split_once('@') {
        Some((name, netns)) => (name, Some(Netns::parse(netns)?)),
        None => (place, None),
    };
    Ok(Tap::open(&TapOptions {
        netns,
        ..TapOptions::new(name)
    })?)
}

/// A TAP, and what came from it.
struct Side {
    tap: Tap,
    frames: u64,
    bytes: u64,
    lost: u64,
}

struct Pump {
    sides: [Side; 2],
    sleeper: rustix::fd::OwnedFd,
    buffer: Vec<u8>,
}

impl Pump {
    fn new(taps: [Tap; 2]) -> Result<Self, Box<dyn Error>> {
        let sleeper = epoll::create(CreateFlags::CLOEXEC)?;
        for tap in &taps {
            epoll::add(
                &sleeper,
                &tap.queues()[0],
                EventData::new_u64(0),
                EventFlags::IN,
            )?;
        }
        let sides = taps.map(|tap| Side {
            tap,
            frames: 0,
            bytes: 0,
            lost: 0,
        });
        Ok(Self {
            sides,
            sleeper,
            buffer: vec![0; MAX_FRAME],
        })
    }

    fn run(&mut self, stop: &AtomicBool) -> Result<(), Box<dyn Error>> {
        while !stop.load(Ordering::Relaxed) {
            let Self {
                sides: [a, b],
                buffer,
                ..
            } = self;
            let copied =
                a.copy_to(&b.tap.queues()[0], buffer)? + b.copy_to(&a.tap.queues()[0], buffer)?;
            if copied == 0 {
                self.sleep()?;
            }
        }
        Ok(())
    }

    fn sleep(&self) -> Result<(), Box<dyn Error>> {
        let mut events = [Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        }; 2];
        let timeout = SLEEP.try_into()?;
        match epoll::wait(&self.sleeper, &mut events, Some(&timeout)) {
            // A signal: the flag is looked at next.
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Side {
    fn copy_to(&mut self, to: &Queue, buffer: &mut [u8]) -> Result<usize, Box<dyn Error>> {
        for copied in 0..BUDGET {
            let from = &self.tap.queues()[0];
            // An error here means that the TAP is gone: going on would spin.
            let Some(len) = from.read(buffer)? else {
                return Ok(copied);
            };
            match to.write(&buffer[..len]) {
                Ok(()) => {
                    self.frames += 1;
                    self.bytes += len as u64;
                }
                Err(error) if vanished(&error) => return Err(error.into()),
                Err(_) => self.lost += 1,
            }
        }
        Ok(BUDGET)
    }
}
