//! One byte there and back, one at a time.

use super::Figure;
use crate::systems::{System, cpus};
use anyhow::{Context, Result, ensure};
use rustix::thread::sched_setaffinity;
use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

const PORT: u16 = 7000;
/// How long an answer may take; beyond, a datagram counts as lost and the next one is sent.
const ANSWER_MAX: Duration = Duration::from_millis(200);
/// What tells a UDP server that it is over.
const OVER: [u8; 2] = [0, 1];

/// Over one TCP connection; pinned, client, server and switch are on the first processor.
pub(super) fn tcp(system: &System, time: Duration, pinned: bool) -> Result<Figure> {
    let [a, b] = system.pair();
    let listener = b.netns.run_in(|| TcpListener::bind((b.ip, PORT)))??;
    let stream = a.netns.run_in(|| TcpStream::connect((b.ip, PORT)))??;
    let (served, _) = listener.accept()?;
    for stream in [&stream, &served] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(time + Duration::from_secs(10)))?;
    }
    let serve = move || {
        let (mut stream, mut byte) = (served, [0]);
        while stream.read(&mut byte)? > 0 {
            stream.write_all(&byte)?;
        }
        Ok(())
    };
    let client = move || {
        let (mut stream, mut byte) = (stream, [0]);
        let exchange = || {
            stream.write_all(&byte)?;
            stream.read_exact(&mut byte)?;
            Ok(true)
        };
        exchanges(time, exchange)
    };
    both(system, pinned, serve, client)
}

/// By UDP datagrams; what is not answered in time is counted, and its wait is in the figures.
pub(super) fn udp(system: &System, time: Duration, pinned: bool) -> Result<Figure> {
    let [a, b] = system.pair();
    let server = b.netns.run_in(|| UdpSocket::bind((b.ip, PORT)))??;
    let client = a.netns.run_in(|| UdpSocket::bind((a.ip, 0)))??;
    client.connect((b.ip, PORT))?;
    client.set_read_timeout(Some(ANSWER_MAX))?;
    server.set_read_timeout(Some(time + Duration::from_secs(10)))?;
    let serve = move || {
        let mut buffer = [0; 2];
        loop {
            let (len, from) = server.recv_from(&mut buffer)?;
            if len == OVER.len() {
                return Ok(());
            }
            server.send_to(&buffer[..len], from)?;
        }
    };
    let client = move || {
        let mut buffer = [0; 2];
        let exchange = || {
            client.send(&[0])?;
            match client.recv(&mut buffer) {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
                Err(error) => Err(error),
            }
        };
        let took = exchanges(time, exchange);
        client.send(&OVER)?;
        took
    };
    both(system, pinned, serve, client)
}

/// Exchanges until the time is over.
#[derive(Debug, Default)]
struct Took {
    nanoseconds: Vec<u32>,
    unanswered: u32,
}

fn exchanges(time: Duration, mut exchange: impl FnMut() -> io::Result<bool>) -> io::Result<Took> {
    let (start, mut took) = (Instant::now(), Took::default());
    while start.elapsed() < time {
        let sent = Instant::now();
        let is_answered = exchange()?;
        took.nanoseconds.push(sent.elapsed().as_nanos() as u32);
        took.unanswered += u32::from(!is_answered);
    }
    Ok(took)
}

/// Runs both ends, each on a thread of its own.
fn both(
    system: &System,
    pinned: bool,
    serve: impl FnOnce() -> io::Result<()> + Send,
    client: impl FnOnce() -> io::Result<Took> + Send,
) -> Result<Figure> {
    let set = || sched_setaffinity(None, &cpus(pinned));
    system.pin(pinned);
    let (took, served) = thread::scope(|scope| {
        let server = scope.spawn(move || set().map_err(io::Error::from).and_then(|()| serve()));
        let client = scope.spawn(move || set().map_err(io::Error::from).and_then(|()| client()));
        (client.join(), server.join())
    });
    system.pin(false);
    let took = took.ok().context("the client has panicked")??;
    served.ok().context("the server has panicked")??;
    figure(took)
}

fn figure(took: Took) -> Result<Figure> {
    let Took {
        mut nanoseconds,
        unanswered,
    } = took;
    let total: f64 = nanoseconds.iter().copied().map(f64::from).sum();
    let answers = nanoseconds.len() as f64 - f64::from(unanswered);
    ensure!(answers > 0.0, "not one answer");
    nanoseconds.sort_unstable();
    let at = |share: f64| f64::from(nanoseconds[(nanoseconds.len() as f64 * share) as usize]) / 1e3;
    let mut beside = vec![("p50 µs", at(0.5)), ("p99 µs", at(0.99))];
    if unanswered > 0 {
        beside.push(("unanswered", unanswered.into()));
    }
    Ok(Figure {
        value: answers / total * 1e6,
        beside,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_all_exchanges_and_the_rate_of_those_answered() {
        let nanoseconds = (1..=100).map(|n| n * 1000).collect();
        let took = Took {
            nanoseconds,
            unanswered: 1,
        };
        let figure = figure(took).expect("99 answers");
        assert_eq!(figure.beside[..2], [("p50 µs", 51.0), ("p99 µs", 100.0)]);
        assert_eq!(figure.beside[2], ("unanswered", 1.0));
        assert!(
            (figure.value - 99.0 / 5.05).abs() < 1e-9,
            "{}",
            figure.value
        );
    }
}
