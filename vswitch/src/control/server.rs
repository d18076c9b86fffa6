//! The daemon's side: accepts clients, each on a thread of its own, and ends them all when dropped.

use super::answer;
use super::request::Request;
use super::rows::{MissedRow, Reply};
use super::socket::{SocketError, SocketFile};
use crate::run::{Heard, Missed, Shared};
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags};
use rustix::net::Shutdown as End;
use std::collections::HashMap;
use std::io::{self, BufWriter, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Clients at a time: people and scripts, not a service.
pub const CLIENTS_MAX: usize = 32;

/// Of these, clients that follow the log and stay; the others keep room.
pub const FOLLOWERS_MAX: usize = 16;

/// Bytes of a request line: a packet and a few names.
pub const REQUEST_BYTES_MAX: usize = 16_384;

/// How long a client may take for its request line.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client may leave a reply unread.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a follower may: a terminal may be stopped. What it misses meanwhile it is told, in the stream.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(3600);

/// How often a follower without records is looked after: has it gone?
const FOLLOW_PULSE: Duration = Duration::from_millis(500);

/// Pause after an accept that failed (too many descriptors, say), so that the thread does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listening server. Dropping it ends every client and removes the socket.
#[derive(Debug)]
pub struct Server {
    listener: Arc<UnixListener>,
    clients: Arc<Clients>,
    accepting: Option<JoinHandle<()>>,
    _file: SocketFile,
}

impl Server {
    /// Listens on `path` and answers from `shared`.
    ///
    /// # Errors
    /// [`SocketError`] where another daemon listens, or the system refuses.
    pub fn start(path: &Path, shared: Arc<Shared>) -> Result<Self, SocketError> {
        let failed = |source| SocketError::System {
            path: path.to_owned(),
            source,
        };
        let (file, listener) = SocketFile::listen(path)?;
        let listener = Arc::new(listener);
        let clients = Arc::new(Clients::default());
        let accepting = {
            let (listener, clients) = (Arc::clone(&listener), Arc::clone(&clients));
            let health = Arc::clone(&shared.health);
            let accept = move || {
                accept(&listener, &clients, &shared);
                Ok(())
            };
            health.spawn("control", accept).map_err(failed)?
        };
        Ok(Self {
            listener,
            clients,
            accepting: Some(accepting),
            _file: file,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.clients.stopping.store(true, Ordering::Release);
        // Wakes the thread in accept(), which then fails for good (unix(7), a listener shut down).
        let _ = rustix::net::shutdown(&*self.listener, End::Both);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        let clients: Vec<Client> = self
            .clients
            .live
            .lock()
            .drain()
            .map(|(_, client)| client)
            .collect();
        for client in &clients {
            let _ = client.stream.shutdown(Shutdown::Both);
        }
        for client in clients {
            let _ = client.thread.join();
        }
    }
}

/// The clients that are connected.
#[derive(Debug, Default)]
struct Clients {
    live: Mutex<HashMap<usize, Client>>,
    followers: AtomicUsize,
    stopping: AtomicBool,
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    thread: JoinHandle<()>,
}

fn accept(listener: &UnixListener, clients: &Arc<Clients>, shared: &Arc<Shared>) {
    for number in 0.. {
        let accepted = listener.accept();
        if clients.stopping.load(Ordering::Acquire) {
            return;
        }
        let served = accepted.and_then(|(stream, _)| serve(stream, number, clients, shared));
        if let Err(error) = served {
            tracing::warn!(%error, "a control client could not be served");
            thread::sleep(ACCEPT_PAUSE);
        }
    }
}

/// Gives a client its thread.
fn serve(
    stream: UnixStream,
    number: usize,
    clients: &Arc<Clients>,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    // Held until the thread is in the list, so that it cannot take itself out before.
    let mut live = clients.live.lock();
    stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
    if live.len() >= CLIENTS_MAX {
        let text =
            format!("{CLIENTS_MAX} clients are connected already; try again when one has gone");
        // A socket just accepted takes a line at once.
        let _ = reply(&mut &stream, &Reply::Error(text));
        return Ok(());
    }
    let thread = {
        let (stream, clients, shared) =
            (stream.try_clone()?, Arc::clone(clients), Arc::clone(shared));
        let converse = move || {
            let _leaves = Leaves {
                clients: Arc::clone(&clients),
                number,
            };
            if let Err(error) = converse(&stream, &clients, &shared) {
                tracing::debug!(%error, "a control client went early");
            }
        };
        thread::Builder::new()
            .name("control client".to_owned())
            .spawn(converse)?
    };
    live.insert(number, Client { stream, thread });
    Ok(())
}

/// Takes a client out of the list, even where its thread panics.
struct Leaves {
    clients: Arc<Clients>,
    number: usize,
}

impl Drop for Leaves {
    fn drop(&mut self) {
        self.clients.live.lock().remove(&self.number);
    }
}

/// One request, one reply.
fn converse(mut stream: &UnixStream, clients: &Clients, shared: &Shared) -> io::Result<()> {
    let request = match read_request(stream, REQUEST_TIMEOUT)? {
        Ok(request) => request,
        Err(problem) => return reply(&mut stream, &Reply::Error(problem)),
    };
    if request == Request::Follow {
        return follow(stream, clients, shared);
    }
    let answer = answer::answer(shared, &request).unwrap_or_else(Reply::Error);
    reply(&mut stream, &answer)
}

/// Reads the request line; the inner error is for the client to read.
fn read_request(mut stream: &UnixStream, timeout: Duration) -> io::Result<Result<Request, String>> {
    let deadline = Instant::now() + timeout;
    let mut line = Vec::new();
    let mut room = [0; 1024];
    let end = loop {
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            break end;
        }
        if line.len() > REQUEST_BYTES_MAX {
            return Ok(Err(format!(
                "the request is longer than {REQUEST_BYTES_MAX} bytes"
            )));
        }
        // For the line as a whole: a byte now and then does not keep the place.
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Err(format!(
                "no request came within {} s",
                timeout.as_secs()
            )));
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut room) {
            Ok(0) if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(0) => break line.len(),
            Ok(read) => line.extend_from_slice(&room[..read]),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error),
        }
    };
    Ok(serde_json::from_slice(&line[..end])
        .map_err(|error| format!("the request is not understood: {error}")))
}

fn reply(stream: &mut impl Write, reply: &Reply) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(65_536, stream);
    serde_json::to_writer(&mut out, reply)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Streams the records of closed intervals until the client goes or the daemon stops.
fn follow(mut stream: &UnixStream, clients: &Clients, shared: &Shared) -> io::Result<()> {
    let Some(_place) = Place::take(&clients.followers) else {
        let text =
            format!("{FOLLOWERS_MAX} clients follow the log already; try again when one has gone");
        return reply(&mut stream, &Reply::Error(text));
    };
    let Some(records) = shared.tail.subscribe() else {
        return reply(
            &mut stream,
            &Reply::Error("too many follow the log already".to_owned()),
        );
    };
    stream.set_write_timeout(Some(FOLLOW_TIMEOUT))?;
    while !clients.stopping.load(Ordering::Acquire) {
        match records.hear(FOLLOW_PULSE) {
            Some(Heard::Records(logger, batch)) => {
                let mut out = BufWriter::with_capacity(65_536, stream);
                for record in &batch {
                    let row = answer::record(shared, &logger, record);
                    serde_json::to_writer(&mut out, &Reply::Record(row))?;
                    out.write_all(b"\n")?;
                }
                out.flush()?;
            }
            Some(Heard::Missed(Missed { intervals, records })) => {
                let missed = MissedRow { intervals, records };
                reply(&mut stream, &Reply::Missed(missed))?;
            }
            None if has_gone(stream) => return Ok(()),
            None => {}
        }
    }
    Ok(())
}

/// A follower's place; dropping it makes room.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(followers: &'a AtomicUsize) -> Option<Self> {
        if followers.fetch_add(1, Ordering::AcqRel) < FOLLOWERS_MAX {
            return Some(Self(followers));
        }
        followers.fetch_sub(1, Ordering::AcqRel);
        None
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn has_gone(stream: &UnixStream) -> bool {
    let mut polled = [PollFd::new(stream, PollFlags::RDHUP)];
    let _ = rustix::event::poll(&mut polled, Some(&rustix::event::Timespec::default()));
    polled[0]
        .revents()
        .intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn asked(bytes: &[u8]) -> io::Result<Result<Request, String>> {
        let (mut client, daemon) = UnixStream::pair().unwrap();
        client.write_all(bytes).unwrap();
        read_request(&daemon, Duration::from_millis(50))
    }

    #[test]
    fn a_request_is_read_with_or_without_its_line_end() {
        assert_eq!(asked(b"\"audit\"\n").unwrap(), Ok(Request::Audit));
        let (mut client, daemon) = UnixStream::pair().unwrap();
        client.write_all(b"\"loggers\"").unwrap();
        drop(client);
        assert_eq!(
            read_request(&daemon, REQUEST_TIMEOUT).unwrap(),
            Ok(Request::Loggers)
        );
    }

    #[test]
    fn what_is_no_request_is_told_so_and_silence_ends() {
        assert!(
            asked(b"GET / HTTP/1.1\r\n")
                .unwrap()
                .unwrap_err()
                .contains("not understood")
        );
        assert!(asked(b"\xff\xfe\n").unwrap().is_err());
        assert!(
            asked(b"\"audit")
                .unwrap()
                .unwrap_err()
                .contains("no request came")
        );
        let long = vec![b'x'; REQUEST_BYTES_MAX + 2048];
        assert!(asked(&long).unwrap().unwrap_err().contains("longer than"));
    }

    #[test]
    fn a_client_that_hangs_up_without_a_word_is_an_early_end() {
        let (client, daemon) = UnixStream::pair().unwrap();
        assert!(!has_gone(&daemon));
        drop(client);
        assert!(has_gone(&daemon));
        assert!(read_request(&daemon, REQUEST_TIMEOUT).is_err());
    }

    #[test]
    fn followers_have_so_many_places_and_give_them_back() {
        let followers = AtomicUsize::new(FOLLOWERS_MAX - 1);
        let place = Place::take(&followers);
        assert!(place.is_some() && Place::take(&followers).is_none());
        drop(place);
        assert!(Place::take(&followers).is_some());
    }
}
