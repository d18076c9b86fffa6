//! Connections that are made, and reset by the server as soon as it sees them, by many clients.

use super::Figure;
use crate::systems::System;
use anyhow::{Context, Result};
use std::{
    io::{self, ErrorKind, Read},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Threads that connect.
const CLIENTS: usize = 16;
const PORT: u16 = 7001;
/// How long one connection may take.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn make(system: &mut System, time: Duration) -> Result<Figure> {
    let [a, b] = system.pair();
    let address = (b.ip, PORT).into();
    let listener = b.netns.run_in(|| TcpListener::bind(address))??;
    let (deadline, is_over) = (Instant::now() + time, AtomicBool::new(false));
    let client = || -> u64 {
        std::iter::from_fn(|| (Instant::now() < deadline).then(|| connect(address))).sum()
    };
    let made = thread::scope(|scope| {
        let server = scope.spawn(|| serve(&listener, &is_over));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| a.netns.run_in(client).unwrap_or(0)))
            .collect();
        let made: u64 = clients
            .into_iter()
            .map(|client| client.join().unwrap_or(0))
            .sum();
        is_over.store(true, Ordering::Relaxed);
        // The server looks up once more.
        let _ = a.netns.run_in(|| connect(address));
        server.join().ok().context("the server has panicked")??;
        anyhow::Ok(made)
    })?;
    Ok(Figure {
        value: made as f64 / time.as_secs_f64() / 1e3,
        beside: vec![],
    })
}

fn serve(listener: &TcpListener, is_over: &AtomicBool) -> io::Result<()> {
    while !is_over.load(Ordering::Relaxed) {
        let (stream, _) = listener.accept()?;
        // Linger for no time: a reset, and no TIME_WAIT to run out of ports with.
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    }
    Ok(())
}

/// 1 for a connection that came about.
fn connect(address: SocketAddr) -> u64 {
    match TcpStream::connect_timeout(&address, PATIENCE) {
        Ok(mut stream) => {
            let _ = stream.set_read_timeout(Some(PATIENCE));
            // The reset, or nothing: a connection in either case.
            let _ = stream.read(&mut [0]);
            1
        }
        // The reset may come before connect() returns: connected all the same.
        Err(error) => u64::from(error.kind() == ErrorKind::ConnectionReset),
    }
}
