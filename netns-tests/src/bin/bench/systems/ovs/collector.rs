//! Where the exporter's messages end.

use super::ACTIVE_TIMEOUT;
use crate::systems::setup::PATIENCE;
use anyhow::{Result, ensure};
use std::{
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tap::Netns;

/// Between looks at whether it is over.
const TICK: Duration = Duration::from_millis(100);

/// Counts what an exporter sends.
#[derive(Debug)]
pub(super) struct Collector {
    pub(super) port: u16,
    datagrams: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    pub(super) fn start(netns: &Netns) -> Result<Self> {
        let socket = netns.run_in(|| UdpSocket::bind("127.0.0.1:0"))??;
        socket.set_read_timeout(Some(TICK))?;
        let port = socket.local_addr()?.port();
        let (datagrams, is_over) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let shared = (Arc::clone(&datagrams), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            while !shared.1.load(Ordering::Relaxed) {
                if socket.recv(&mut buffer).is_ok() {
                    shared.0.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Ok(Self {
            port,
            datagrams,
            is_over,
            thread: Some(thread),
        })
    }

    /// Datagrams so far.
    pub(super) fn count(&self) -> u64 {
        self.datagrams.load(Ordering::Relaxed)
    }

    /// Waits until something has come, for as long as records may be held back.
    pub(super) fn wait(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(ACTIVE_TIMEOUT) + PATIENCE;
        while self.count() == 0 {
            ensure!(Instant::now() < deadline, "no IPFIX arrives");
            thread::sleep(TICK);
        }
        Ok(())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
