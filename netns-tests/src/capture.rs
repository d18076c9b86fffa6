//! What a guest's interface carried.

use crate::Guest;
use packet::{Headers, Mac, Offload};
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tap::PacketSocket;

/// Between looks at whether a watch is over.
const TICK: Duration = Duration::from_millis(50);

/// A frame that crossed the interface.
#[derive(Debug, Clone)]
pub struct Seen {
    /// UNIX time in whole seconds.
    pub at_s: u64,
    /// What its sender left to the device.
    pub offload: Offload,
    /// From the destination MAC on.
    pub bytes: Vec<u8>,
}

impl Seen {
    /// Whether it comes from the interface with that address.
    #[must_use]
    pub fn is_from(&self, mac: Mac) -> bool {
        self.bytes.get(6..12) == Some(&mac.0)
    }

    /// Its text form, such as `udp 10.77.1.11:40000 > 10.77.1.12:5000`; empty for a runt.
    #[must_use]
    pub fn text(&self) -> String {
        Headers::parse(&self.bytes, self.offload)
            .map(|headers| format!("{headers:?}"))
            .unwrap_or_default()
    }

    /// Whether it is IPv4 of `protocol` to `port` (0 for ICMP).
    #[must_use]
    pub fn is_to(&self, protocol: u8, port: u16) -> bool {
        crate::truth::Packet::read(self).is_some_and(|packet| {
            packet.tuple.protocol == protocol && packet.tuple.dst_port == port
        })
    }
}

/// A capture in the background.
#[derive(Debug)]
pub struct Watch {
    seen: Arc<Mutex<Vec<Seen>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(crate) fn start(socket: PacketSocket) -> Self {
        let (seen, over) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let shared = (Arc::clone(&seen), Arc::clone(&over));
        socket
            .set_timeout(Some(TICK))
            .expect("a timeout above zero");
        let thread = thread::spawn(move || collect(&socket, &shared.0, &shared.1));
        Self {
            seen,
            over,
            thread: Some(thread),
        }
    }

    /// Waits until a frame is seen, and tells whether one was within `timeout`.
    ///
    /// # Panics
    /// Where the capturing thread has panicked.
    pub fn until(&self, timeout: Duration, wanted: impl Fn(&Seen) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            if self
                .seen
                .lock()
                .expect("no panic under it")
                .iter()
                .any(&wanted)
            {
                return true;
            }
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(TICK / 5);
        }
    }

    /// Everything that was seen, once the interface is quiet.
    ///
    /// # Panics
    /// Where the capturing thread has panicked.
    #[must_use]
    pub fn stop(mut self) -> Vec<Seen> {
        self.end();
        std::mem::take(&mut self.seen.lock().expect("no panic under it"))
    }

    fn end(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

/// Until nothing came for a whole tick after the end was asked for.
fn collect(socket: &PacketSocket, seen: &Mutex<Vec<Seen>>, over: &AtomicBool) {
    let mut buffer = vec![0; tap::MAX_FRAME];
    loop {
        match socket.recv(&mut buffer) {
            Ok(Some((offload, bytes))) => {
                let at_s = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |d| d.as_secs());
                let frame = Seen {
                    at_s,
                    offload,
                    bytes: bytes.to_vec(),
                };
                seen.lock().expect("no panic under it").push(frame);
            }
            Ok(None) if over.load(Ordering::Relaxed) => return,
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

/// A running tcpdump.
#[derive(Debug)]
pub struct Tcpdump {
    child: Child,
    file: PathBuf,
}

impl Tcpdump {
    pub(crate) fn start(guest: &Guest, scratch: &Path) -> Self {
        let file = scratch.join(format!("{}.pcap", guest.port().name));
        let mut command = Command::new("tcpdump");
        command
            .args([
                "-n",
                // Neither the kernel nor tcpdump holds a packet back.
                "--immediate-mode",
                "-U",
                "-s",
                "0",
                "-B",
                "65536",
                "-Z",
                "root",
                "-Q",
                "out",
                "-i",
                &guest.port().tap(),
                "-w",
            ])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = guest
            .here(|| command.spawn())
            .expect("tcpdump is installed");
        let stderr = child.stderr.take().expect("it was asked for");
        let mut lines = BufReader::new(stderr).lines();
        let listening = lines.any(|line| line.is_ok_and(|line| line.contains("listening on")));
        assert!(listening, "tcpdump does not listen");
        thread::spawn(move || lines.for_each(drop));
        Self { child, file }
    }

    /// Ends the capture and returns its file.
    #[must_use]
    pub fn stop(mut self) -> PathBuf {
        // Packets that the kernel holds for it.
        thread::sleep(Duration::from_millis(300));
        self.end();
        self.file.clone()
    }

    fn end(&mut self) {
        crate::daemon::signal(&self.child, rustix::process::Signal::INT);
        let _ = self.child.wait();
    }
}

impl Drop for Tcpdump {
    fn drop(&mut self) {
        self.end();
    }
}
