//! What proc(5) tells of a process and of the machine.

use netns_tests::Daemon;
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

/// How often memory is looked at.
const SAMPLE: Duration = Duration::from_millis(5);

/// A line of /proc/meminfo.
pub(crate) fn meminfo_kib(name: &str) -> Option<u64> {
    kib(&fs::read_to_string("/proc/meminfo").ok()?, name)
}

/// Descriptors that a daemon has open.
pub(crate) fn open_files(daemon: &Daemon) -> usize {
    fs::read_dir(format!("/proc/{}/fd", daemon.pid())).map_or(0, Iterator::count)
}

/// Share of a core that a daemon takes over some time, in percent.
pub(crate) fn cpu_percent(daemon: &Daemon, over: Duration) -> f64 {
    let (before, start) = (daemon.cpu_time(), Instant::now());
    thread::sleep(over);
    let used = daemon.cpu_time().saturating_sub(before);
    used.as_secs_f64() / start.elapsed().as_secs_f64() * 100.0
}

/// Resident memory of a daemon in MiB.
pub(crate) fn resident_mib(daemon: &Daemon) -> f64 {
    daemon.resident_kib() as f64 / 1024.0
}

fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Watches the resident memory of a process on a thread of its own.
pub(crate) struct Memory {
    over: Arc<AtomicBool>,
    thread: thread::JoinHandle<Vec<(SystemTime, u64)>>,
}

impl Memory {
    pub(crate) fn watch(pid: u32) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let mut samples = vec![];
            while !seen.load(Ordering::Relaxed) {
                let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
                samples.extend(kib(&status, "VmRSS").map(|kib| (SystemTime::now(), kib)));
                thread::sleep(SAMPLE);
            }
            samples
        });
        Self { over, thread }
    }

    /// The samples, KiB.
    pub(crate) fn end(self) -> Vec<(SystemTime, u64)> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}
