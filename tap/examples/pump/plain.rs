//! By `read` and `write`: one system call each per frame, `epoll` to sleep.

use crate::{Copied, SLEEP, Stop, destination};
use rustix::{
    event::epoll::{self, CreateFlags, Event, EventData, EventFlags},
    fd::OwnedFd,
    io::Errno,
};
use std::error::Error;
use tap::{MAX_FRAME, Queue, vanished};

/// Frames taken from one TAP before the other has its turn.
const BUDGET: usize = 64;

pub(crate) fn pump(
    queues: Vec<Queue>,
    copied: &mut [Copied],
    stop: &Stop,
) -> Result<(), Box<dyn Error>> {
    let sleeper = epoll::create(CreateFlags::CLOEXEC)?;
    for queue in &queues {
        epoll::add(&sleeper, queue, EventData::new_u64(0), EventFlags::IN)?;
    }
    let mut buffer = vec![0; MAX_FRAME];
    while !stop.is_asked() {
        let mut moved = 0;
        for (number, from) in queues.iter().enumerate() {
            let to = destination(number);
            moved += copy(from, &queues[to], &mut copied[to], &mut buffer)?;
        }
        if moved == 0 {
            sleep(&sleeper)?;
        }
    }
    Ok(())
}

fn sleep(sleeper: &OwnedFd) -> Result<(), Box<dyn Error>> {
    let mut events = [Event {
        flags: EventFlags::empty(),
        data: EventData::new_u64(0),
    }; 2];
    let timeout = SLEEP.try_into()?;
    match epoll::wait(sleeper, &mut events, Some(&timeout)) {
        // A signal: the flag is looked at next.
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn copy(
    from: &Queue,
    to: &Queue,
    copied: &mut Copied,
    buffer: &mut [u8],
) -> Result<usize, Box<dyn Error>> {
    for moved in 0..BUDGET {
        // An error here means that the TAP is gone: going on would spin.
        let Some(len) = from.read(buffer)? else {
            return Ok(moved);
        };
        match to.write(&buffer[..len]) {
            Ok(()) => {
                copied.frames += 1;
                copied.bytes += len as u64;
            }
            Err(error) if vanished(&error) => return Err(error.into()),
            Err(_) => copied.lost += 1,
        }
    }
    Ok(BUDGET)
}
