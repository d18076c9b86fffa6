//! By `io_uring`: one system call writes what was read, reads what has come meanwhile, and sleeps if
//! there is nothing.

use crate::{Copied, SLEEP, Stop, destination};
use std::{error::Error, io};
use tap::{Queue, Ring, Written, vanished};

pub(crate) fn pump(
    queues: Vec<Queue>,
    copied: &mut [Copied],
    stop: &Stop,
) -> Result<(), Box<dyn Error>> {
    let mut ring = Ring::new()?;
    for queue in queues {
        ring.attach(queue)?;
    }
    let mut held = vec![];
    while !stop.is_asked() {
        while let Some(from) = ring.next_ready() {
            let to = destination(from.into()) as u16;
            while let Some(frame) = ring.next(from)? {
                ring.write(to, frame, frame.len)?;
                held.push(frame);
            }
        }
        if held.is_empty() {
            ring.wait(SLEEP)?;
            continue;
        }
        ring.submit()?;
        for written in ring.settled() {
            count(&mut copied[usize::from(written.queue)], written)?;
        }
        held.drain(..).for_each(|frame| ring.give_back(frame));
    }
    Ok(())
}

fn count(copied: &mut Copied, written: Written) -> io::Result<()> {
    match written.result {
        Ok(()) => {
            copied.frames += 1;
            copied.bytes += u64::from(written.mark);
        }
        Err(error) if vanished(&error) => return Err(error),
        Err(_) => copied.lost += 1,
    }
    Ok(())
}
