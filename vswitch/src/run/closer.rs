//! Closes the queues of ports that go, on a thread of its own.
//!
//! The last queue takes its device with it, for which the kernel waits 20 ms. A worker that waited with it
//! would forward nothing meanwhile, and a thousand ports would take 20 s to stop; together they take 1 s.

use super::health::Health;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use tap::Queue;

/// Where queues go to be closed.
#[derive(Debug, Clone)]
pub(super) struct Closer {
    sender: Sender<Vec<Queue>>,
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
        let _ = self.sender.send(queues);
    }
}

fn run(receiver: &Receiver<Vec<Queue>>) {
    while let Ok(mut queues) = receiver.recv() {
        queues.extend(receiver.try_iter().flatten());
        tap::close_together(queues);
    }
}
