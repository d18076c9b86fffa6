//! Round trips of a datagram between two guests, one at a time: what others feel while the switch is busy
//! with something else.

use netns_tests::Guest;
use std::{
    net::UdpSocket,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

const PORT: u16 = 7000;
/// After this a datagram counts as lost.
const LOST: Duration = Duration::from_secs(1);
/// Pause between two round trips: they are to be felt, not to fill the machine.
const PAUSE: Duration = Duration::from_micros(500);

/// Times of round trips.
#[derive(Debug, Default)]
pub(crate) struct Trips {
    took_us: Vec<f64>,
    pub(crate) lost: u32,
}

impl Trips {
    /// Goes to and fro until `over`.
    pub(crate) fn until(client: &Guest, server: &Guest, over: impl Fn() -> bool + Sync) -> Self {
        let (socket, peer) = (client.udp(0), server.udp(PORT));
        let is_over = AtomicBool::new(false);
        let mut trips = thread::scope(|scope| {
            let serving = scope.spawn(|| echo(&peer, &is_over));
            let mut trips = Self::default();
            let _ = socket.set_read_timeout(Some(LOST));
            while !over() {
                trips.go(&socket, server);
                thread::sleep(PAUSE);
            }
            is_over.store(true, Ordering::Relaxed);
            let _ = serving.join();
            trips
        });
        trips.took_us.sort_by(f64::total_cmp);
        trips
    }

    fn go(&mut self, socket: &UdpSocket, server: &Guest) {
        let (start, mut answer) = (Instant::now(), [0]);
        let _ = socket.send_to(&[1], (server.ip(), PORT));
        match socket.recv(&mut answer) {
            Ok(_) => self.took_us.push(start.elapsed().as_secs_f64() * 1e6),
            Err(_) => self.lost += 1,
        }
    }

    /// How many there were.
    pub(crate) fn count(&self) -> usize {
        self.took_us.len()
    }

    /// The time that this share of them did not pass, in µs.
    pub(crate) fn quantile_us(&self, share: f64) -> f64 {
        let last = self.took_us.len().saturating_sub(1);
        let place = (last as f64 * share).round() as usize;
        self.took_us.get(place).copied().unwrap_or(f64::NAN)
    }
}

fn echo(socket: &UdpSocket, is_over: &AtomicBool) {
    let _ = socket.set_read_timeout(Some(Duration::from_millis(100)));
    let mut byte = [0];
    while !is_over.load(Ordering::Relaxed) {
        if let Ok((_, from)) = socket.recv_from(&mut byte) {
            let _ = socket.send_to(&byte, from);
        }
    }
}
