//! The running `vswitch`.

use crate::{
    binary::vswitch,
    command::{Done, run},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::File,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};
use tap::Netns;

/// How long the daemon may take to answer, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// File of its log, in the lab's folder.
const LOG: &str = "vswitch.log";

/// A `vswitch run` that is killed when it is dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl Daemon {
    /// Starts `vswitch run` on a configuration in `dir`, in `home` or our own namespace, and waits until
    /// its control socket answers.
    ///
    /// # Panics
    /// Where it does not.
    #[must_use]
    pub fn start(dir: &Path, config: &Path, home: Option<&Netns>) -> Self {
        Self::start_on(None, None, dir, config, home)
    }

    /// As [`Daemon::start`]; `state_disk`: with a small disk at `dir/state`, which it alone sees;
    /// `log_levels`: its `VSWITCH_LOG`.
    pub(crate) fn start_on(
        state_disk: Option<&str>,
        log_levels: Option<&str>,
        dir: &Path,
        config: &Path,
        home: Option<&Netns>,
    ) -> Self {
        let mut command = match state_disk {
            Some(size) => behind_a_small_disk(&dir.join("state"), size),
            None => Command::new(vswitch()),
        };
        let file = File::options()
            .create(true)
            .append(true)
            .open(dir.join(LOG))
            .expect("the folder is there");
        if let Some(levels) = log_levels {
            command.env("VSWITCH_LOG", levels);
        }
        let streams = [Stdio::null(), Stdio::null(), file.into()];
        Self::start_by(command, dir, config, home, streams)
    }

    /// As [`Daemon::start`], by `command`, to which `run` and the configuration are added, with these
    /// standard streams.
    ///
    /// # Panics
    /// As [`Daemon::start`].
    #[must_use]
    pub fn start_by(
        mut command: Command,
        dir: &Path,
        config: &Path,
        home: Option<&Netns>,
        [stdin, stdout, stderr]: [Stdio; 3],
    ) -> Self {
        command
            .arg("run")
            .arg(config)
            .current_dir(dir)
            .env("NO_COLOR", "1")
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr);
        // A child inherits the namespace of the thread that starts it.
        let child = match home {
            Some(home) => home
                .run_in(|| command.spawn())
                .expect("the namespace is there"),
            None => command.spawn(),
        };
        let child = child.expect("vswitch starts");
        let mut daemon = Self {
            child,
            socket: dir.join("control.sock"),
            log: dir.join(LOG),
        };
        daemon.wait_until_it_answers();
        daemon
    }

    fn wait_until_it_answers(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(&self.socket).is_err() {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                panic!("vswitch run ended with {status}:\n{}", self.log());
            }
            assert!(
                Instant::now() < deadline,
                "no answer from vswitch run:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `vswitch show WHAT --json` of this daemon.
    #[must_use]
    pub fn show(&self, what: &str) -> Done {
        let mut command = Command::new(vswitch());
        command
            .args(["show", what, "--json", "--socket"])
            .arg(&self.socket);
        run(None, &mut command, "", PATIENCE)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self::signal(&self.child, signal);
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// Never: the child is ours.
    pub fn runs(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("a child can be waited for")
            .is_none()
    }

    /// Asks it to end, with `signal`, and waits.
    ///
    /// # Panics
    /// Where it does not end in time.
    pub fn stop(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "vswitch run does not end:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it, as the kernel does when memory runs out.
    pub fn stop_by_force(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Memory it holds, in KiB (`VmRSS` of proc(5)).
    ///
    /// # Panics
    /// Where it has ended.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .expect("it is no zombie");
        line.split_whitespace()
            .nth(1)
            .and_then(|n| n.parse().ok())
            .expect("proc(5) gives a number")
    }

    /// Processor time it has used, user and system.
    ///
    /// # Panics
    /// Where it has ended.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("it runs");
        let (_, after_name) = stat.rsplit_once(')').expect("proc(5)");
        let ticks = |n: usize| {
            after_name
                .split_whitespace()
                .nth(n)
                .and_then(|t| t.parse::<u64>().ok())
        };
        let ticks = ticks(11).expect("utime") + ticks(12).expect("stime");
        // USER_HZ is 100 on every Linux that cargo supports.
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.runs() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if thread::panicking() {
            eprintln!("--- log of vswitch run ---\n{}", self.log());
        }
    }
}

/// `vswitch` with a disk in memory mounted at `folder`. Every program on the way there gives its process
/// to the next, so that the child is the daemon.
fn behind_a_small_disk(folder: &Path, size: &str) -> Command {
    std::fs::create_dir_all(folder).expect("the lab's folder is there");
    let script = format!(
        "mount -t tmpfs -o size={size} tmpfs '{}' && exec \"$0\" \"$@\"",
        folder.display()
    );
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", &script])
        .arg(vswitch());
    command
}

/// Sends a child a signal.
pub(crate) fn signal(child: &Child, signal: Signal) {
    // A child that has ended, but was not waited for, still owns its number.
    let _ = kill_process(Pid::from_child(child), signal);
}
