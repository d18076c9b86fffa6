//! A logger's exporter, as the log thread holds it.

use super::{
    packer::{Message, pack},
    sender::{PAYLOAD_UNKNOWN, Sender},
};
use crate::{
    LoggerSpec, Record,
    delivery::{Board, Counts, Progress},
    store::{Cause, StoreError},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, channel, sync_channel},
    },
    thread,
    time::Instant,
};

/// Datagrams that may wait to be sent: 11 MiB, and half a second.
pub(super) const QUEUE_MAX: usize = 8192;

/// Packs records and has them sent.
pub(crate) struct Exporter {
    board: Arc<Board>,
    payload_max: Arc<AtomicUsize>,
    run: Run,
}

enum Run {
    InPlace(Box<Sender>),
    OnThread(SyncSender<Message>, Receiver<()>),
    Ending(Receiver<()>),
    Not,
}

impl Exporter {
    /// An exporter to the logger's collector. Nothing is sent yet.
    pub(crate) fn new(spec: &LoggerSpec, counts: Arc<Counts>, on_thread: bool) -> Self {
        let (board, payload_max) = (
            Arc::new(Board::new(counts)),
            Arc::new(AtomicUsize::new(PAYLOAD_UNKNOWN)),
        );
        // Each logger numbers its records by itself, so each is a domain.
        let domain = spec.id.as_u128() as u32;
        let mut sender = Sender::new(
            spec.storage.to_string().replacen("udp://", "", 1),
            domain,
            Arc::clone(&board),
            Arc::clone(&payload_max),
        );
        let run = if on_thread {
            let (queue, messages) = sync_channel(QUEUE_MAX);
            let (ends, end) = channel::<()>();
            let noted = Arc::clone(&board);
            let thread = thread::Builder::new().name("ipfix".into());
            let spawned = thread.spawn(move || {
                // Dropped with the thread, which is how its end is noticed.
                let _ends = ends;
                let _ = sender.connect();
                messages
                    .iter()
                    .for_each(|message| send(&mut sender, message, &noted));
            });
            match spawned {
                Ok(_) => Run::OnThread(queue, end),
                Err(error) => {
                    let text = format!("no thread to send on: {error}; restart the switch");
                    board.not_exported(0, Some(&StoreError::new(Cause::Busy, text)));
                    Run::Not
                }
            }
        } else {
            let _ = sender.connect();
            Run::InPlace(Box::new(sender))
        };
        Self {
            board,
            payload_max,
            run,
        }
    }

    /// Sends an interval's records, or has them sent; never waits for the network on the log thread.
    pub(crate) fn export(&mut self, records: impl Iterator<Item = Record>) {
        let payload_max = self.payload_max.load(Ordering::Relaxed);
        let (run, board) = (&mut self.run, &self.board);
        pack(records, payload_max, |message| match run {
            Run::InPlace(sender) => sender.send(message),
            Run::OnThread(queue, _) => {
                let rows = u64::from(message.rows);
                if queue.try_send(message).is_err() {
                    board.not_exported(rows, None);
                }
            }
            Run::Ending(_) | Run::Not => board.not_exported(message.rows.into(), None),
        });
    }

    /// Tells the thread to end when the queue is empty.
    pub(crate) fn end_by(&mut self, _: Instant) {
        self.run = match std::mem::replace(&mut self.run, Run::Not) {
            Run::OnThread(_, end) => Run::Ending(end),
            run => run,
        };
    }

    /// Waits for that.
    pub(crate) fn join(&mut self, deadline: Instant) {
        if let Run::Ending(end) = &self.run {
            let patience = deadline.saturating_duration_since(Instant::now());
            // Nothing is ever sent: it is the thread's end that ends this.
            let _ = end.recv_timeout(patience);
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        self.board.read()
    }
}

/// Sends a message. A panic is a bug, and the message's failure: the thread goes on with the next.
fn send(sender: &mut Sender, message: Message, board: &Board) {
    let rows = u64::from(message.rows);
    if catch_unwind(AssertUnwindSafe(|| sender.send(message))).is_err() {
        let text = "a bug in the export, of which the daemon's log tells more";
        board.not_exported(rows, Some(&StoreError::new(Cause::Refused, text)));
    }
}
