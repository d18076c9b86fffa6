//! Closes the queues of ports that go, on a thread of its own.
//!
//! The last queue takes its device with it, for which the kernel waits 20 ms. A worker that waited with it
//! would forward nothing meanwhile, and a thousand ports would take 20 s to stop; together they take 1 s.

use super::health::Health;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::{io, iter};
use tap::Queue;

/// Where queues go to be closed.
#[derive(Debug, Clone)]
pub(super) struct Closer {
    sender: Sender<Job>,
}

#[derive(Debug)]
enum Job {
    Close(Vec<Queue>),
    /// Answer when everything before is closed.
    Answer(Sender<()>),
}

impl Closer {
    /// Starts the thread. It ends when every hold on it is gone and every queue is closed.
    pub(super) fn start(health: &Arc<Health>) -> io::Result<(Self, JoinHandle<()>)> {
        let (sender, receiver) = channel();
        let thread = health.spawn("closer", move || {
            run(&receiver);
            Ok(())
        })?;
        Ok((Self { sender }, thread))
    }

    /// Has queues closed; does not wait for it.
    pub(super) fn close(&self, queues: Vec<Queue>) {
        // Where the thread has gone, they are closed here.
        let _ = self.sender.send(Job::Close(queues));
    }

    /// Waits until everything that was handed in before is closed: until then a TAP that is opened anew
    /// looks as if another program had it.
    pub(super) fn wait(&self) {
        let (sender, receiver) = channel();
        if self.sender.send(Job::Answer(sender)).is_ok() {
            // An error is as good: the thread has ended.
            let _ = receiver.recv();
        }
    }
}

fn run(receiver: &Receiver<Job>) {
    while let Ok(first) = receiver.recv() {
        let (mut queues, mut waiting) = (Vec::new(), Vec::new());
        for job in iter::once(first).chain(receiver.try_iter()) {
            match job {
                Job::Close(more) => queues.extend(more),
                Job::Answer(to) => waiting.push(to),
            }
        }
        tap::close_together(queues);
        for to in waiting {
            // A caller that has gone needs no answer.
            let _ = to.send(());
        }
    }
}
