//! What the program says of itself: on standard error, and never at the expense of what it does.
//!
//! ```text
//!   any thread ── a formatted message ──▶ bounded queue ──▶ thread `messages` ── write(2) ──▶ stderr
//!                        └── full: counted as lost              └── refused: counted as lost
//! ```
//! A daemon's standard error may be a full disk, a pipe without a reader, a pipe whose reader has stopped,
//! or a terminal that was closed. None of that may stop a packet: [`queue`] puts a bounded queue and a
//! thread before it. What is lost is a number in `show status`, and in the first message that can be
//! written again. Without [`queue`] (a command that ends by itself) messages are written where they
//! arise, and one that cannot be written is lost.

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::fmt::{self, Display};
use std::io;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Messages that wait at most.
const QUEUE: usize = 1024;

/// Bytes that wait at most: 1 MiB.
const QUEUE_BYTES: usize = 1 << 20;

/// How often [`finish`] looks whether everything is written.
const LOOK: Duration = Duration::from_millis(2);

/// How long the end of the program waits for a standard error that takes nothing.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);

static SENDER: OnceLock<SyncSender<Vec<u8>>> = OnceLock::new();
/// Messages handed to the queue and not dealt with yet, and their bytes.
static WAITING: AtomicUsize = AtomicUsize::new(0);
static WAITING_BYTES: AtomicUsize = AtomicUsize::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);
static CAUSE: Mutex<Option<String>> = Mutex::new(None);
/// Whether an error cut the last message off within its line: the next one begins on a line of its own.
static IS_CUT: AtomicBool = AtomicBool::new(false);

/// Standard error as [`tracing_subscriber`] and [`note`] write to it. Never fails and, behind
/// [`queue`], never waits; a message is what one call of `write` brings.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Messages;

impl io::Write for Messages {
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        match SENDER.get() {
            Some(sender) => enqueue(sender, message),
            None => {
                write_out(message);
            }
        }
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a line to standard error, behind what waits there. The only way to it beside `tracing`:
/// `eprintln!` panics where standard error cannot be written.
pub(crate) fn note(line: impl Display) {
    // `Messages` takes everything.
    let _ = io::Write::write_all(&mut Messages, format!("{line}\n").as_bytes());
}

/// What was lost since the start: messages, and why the last of them was.
pub(crate) fn lost() -> (u64, Option<String>) {
    (LOST.load(Ordering::Relaxed), CAUSE.lock().clone())
}

/// Puts the queue before standard error, for good, and has panics reported through it.
///
/// # Errors
/// Where the system has no thread for it.
pub(crate) fn queue() -> io::Result<()> {
    let (sender, receiver) = sync_channel(QUEUE);
    thread::Builder::new()
        .name("messages".into())
        .spawn(move || run(&receiver))?;
    // Asked for twice, the first queue stays, and the second thread ends with its sender.
    let _ = SENDER.set(sender);
    std::panic::set_hook(Box::new(report_panic));
    Ok(())
}

/// Waits until everything is written, at most `patience`: a standard error that takes nothing does not
/// keep the program from ending.
pub(crate) fn finish(patience: Duration) {
    let deadline = Instant::now() + patience;
    while WAITING.load(Ordering::Acquire) > 0 && Instant::now() < deadline {
        thread::sleep(LOOK);
    }
}

fn enqueue(sender: &SyncSender<Vec<u8>>, message: &[u8]) {
    let waiting = WAITING_BYTES.fetch_add(message.len(), Ordering::Relaxed);
    WAITING.fetch_add(1, Ordering::Relaxed);
    if waiting > QUEUE_BYTES || sender.try_send(message.to_owned()).is_err() {
        dealt_with(message);
        lose(&"standard error took no more");
    }
}

fn dealt_with(message: &[u8]) {
    WAITING_BYTES.fetch_sub(message.len(), Ordering::Relaxed);
    WAITING.fetch_sub(1, Ordering::Release);
}

fn lose(cause: &dyn Display) {
    *CAUSE.lock() = Some(cause.to_string());
    LOST.fetch_add(1, Ordering::Relaxed);
}

/// The thread.
fn run(receiver: &Receiver<Vec<u8>>) {
    let mut told = 0;
    while let Ok(message) = receiver.recv() {
        // A bug here costs one message.
        let written = catch_unwind(AssertUnwindSafe(|| write_out(&message)));
        let is_written = written.unwrap_or_else(|_| {
            lose(&"a bug in writing it");
            false
        });
        let (lost, cause) = lost();
        if is_written && lost > told {
            let messages = lost - told;
            let cause = cause.unwrap_or_default();
            tracing::warn!(messages, %cause, "messages of the program were lost");
            told = lost;
        }
        dealt_with(&message);
    }
}

/// Writes a message, or counts it as lost; whether it is written.
fn write_out(message: &[u8]) -> bool {
    let line_end: &[u8] = match IS_CUT.load(Ordering::Relaxed) {
        true => b"\n",
        false => b"",
    };
    match write_all(line_end).and_then(|()| write_all(message)) {
        Ok(()) => IS_CUT.store(false, Ordering::Relaxed),
        Err((errno, written)) => {
            IS_CUT.fetch_or(written > 0, Ordering::Relaxed);
            lose(&io::Error::from(errno));
            return false;
        }
    }
    true
}

/// Writes to the descriptor: the lock of `std::io::stderr` may be held by a thread that never gets on.
/// An error comes with the bytes that were written before it.
fn write_all(bytes: &[u8]) -> Result<(), (Errno, usize)> {
    let stderr = io::stderr();
    let mut written = 0;
    while written < bytes.len() {
        match rustix::io::write(&stderr, &bytes[written..]) {
            Ok(more) => written += more,
            Err(Errno::INTR) => {}
            // Another program that has the same pipe open may have made it non-blocking.
            Err(Errno::AGAIN) => {
                let mut polled = [PollFd::new(&stderr, PollFlags::OUT)];
                match rustix::event::poll(&mut polled, None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(errno) => return Err((errno, written)),
                }
            }
            Err(errno) => return Err((errno, written)),
        }
    }
    Ok(())
}

/// As the standard library's hook, through the queue: its own write would wait for a standard error
/// that takes nothing.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let backtrace = std::backtrace::Backtrace::capture();
    let backtrace: &dyn Display = match backtrace.status() {
        std::backtrace::BacktraceStatus::Captured => &backtrace,
        _ => &"",
    };
    let place = panic.location().map(ToString::to_string);
    tracing::error!(
        thread = thread.name().unwrap_or("unnamed"),
        at = place.unwrap_or_default(),
        "a bug: panicked: {}\n{backtrace}",
        PanicText(panic.payload())
    );
}

/// The text of a panic's payload.
pub(crate) struct PanicText<'a>(pub(crate) &'a (dyn std::any::Any + Send));

impl Display for PanicText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.downcast_ref::<&str>().copied();
        let text = text.or_else(|| self.0.downcast_ref::<String>().map(String::as_str));
        f.write_str(text.unwrap_or("without a text"))
    }
}
