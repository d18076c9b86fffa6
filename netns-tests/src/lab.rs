//! A switch with its guests.

use crate::{Daemon, Done, Guest, Plan, Records, command::run};
use rustix::process::Signal;
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Once,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tap::{Links, Netns};
use tempfile::TempDir;

/// How long a change may take to show.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the names of all our namespaces begin with; the number of the process follows.
const PREFIX: &str = "vst-";

/// A running switch and the guests of its [`Plan`].
#[derive(Debug)]
pub struct Lab {
    daemon: Option<Daemon>,
    guests: Vec<Guest>,
    namespaces: Vec<Netns>,
    plan: Plan,
    prefix: String,
    dir: TempDir,
    /// Where the daemon runs, unless in our own namespace: some of its TAPs stay there.
    home: Option<Netns>,
}

impl Plan {
    /// Makes the namespaces, starts the daemon and waits until it answers.
    ///
    /// # Panics
    /// Where that is not possible: it needs root and `/dev/net/tun`.
    #[must_use]
    pub fn start(self) -> Lab {
        let mut lab = self.prepare();
        lab.start_daemon();
        lab
    }

    /// As [`Plan::start`], without the daemon.
    ///
    /// # Panics
    /// As [`Plan::start`].
    #[must_use]
    pub fn prepare(self) -> Lab {
        static SWEEP: Once = Once::new();
        static LABS: AtomicU32 = AtomicU32::new(1);
        SWEEP.call_once(remove_leftovers);
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut lab = Lab {
            daemon: None,
            guests: vec![],
            namespaces: vec![],
            prefix: format!("{PREFIX}{}-{number}-", std::process::id()),
            plan: self,
            dir,
            home: None,
        };
        lab.add_guests();
        lab.write_config();
        lab
    }
}

impl Lab {
    /// Makes a further namespace that goes with the lab, its loopback interface up.
    ///
    /// # Panics
    /// Where it cannot be made.
    pub fn namespace(&mut self, name: &str) -> Netns {
        let netns = Netns::named(&format!("{}{name}", self.prefix)).expect("a plain name");
        netns.create().expect("root may make a namespace");
        self.namespaces.push(netns.clone());
        let mut links = Links::open(Some(&netns)).expect("the namespace is there");
        links.set_up("lo", true).expect("every namespace has lo");
        netns
    }

    /// A namespace for each port of the plan that has none yet.
    fn add_guests(&mut self) {
        for port in self.plan.ports().to_vec() {
            if self.guests.iter().any(|guest| guest.port.name == port.name) {
                continue;
            }
            let netns = match (&port.place, port.at_home, self.home.clone()) {
                (Some(place), ..) => Netns::at(place),
                (None, false, _) => self.namespace(&port.name),
                (None, true, Some(home)) => home,
                (None, true, None) => {
                    let home = self.namespace("home");
                    self.home.insert(home).clone()
                }
            };
            let scratch = self.dir.path().to_owned();
            self.guests.push(Guest {
                netns,
                port,
                scratch,
            });
        }
    }

    /// The guest of a port.
    ///
    /// # Panics
    /// Where the plan has none of that name.
    #[must_use]
    pub fn guest(&self, name: &str) -> &Guest {
        let guest = self.guests.iter().find(|guest| guest.port.name == name);
        guest.unwrap_or_else(|| panic!("the plan has no port {name}"))
    }

    /// Two guests.
    #[must_use]
    pub fn pair(&self, a: &str, b: &str) -> (&Guest, &Guest) {
        (self.guest(a), self.guest(b))
    }

    /// The folder of the lab's files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A path as the daemon sees it, which may have disks that we do not.
    #[must_use]
    pub fn inside(&self, path: &Path) -> PathBuf {
        let daemon = self.daemon.as_ref().expect("the daemon was started");
        let root = PathBuf::from(format!("/proc/{}/root", daemon.pid()));
        root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Has the guests' kernels send no IPv6, which they do of their own accord. To be called before the
    /// daemon is started; for ports that are [`PortPlan::only_v4`].
    ///
    /// # Panics
    /// Where a namespace has gone.
    ///
    /// [`PortPlan::only_v4`]: crate::PortPlan::only_v4
    pub fn without_ipv6(&self) {
        for guest in &self.guests {
            for of in ["all", "default"] {
                let file = format!("/proc/sys/net/ipv6/conf/{of}/disable_ipv6");
                guest
                    .here(|| std::fs::write(&file, "1"))
                    .expect("root may change its namespace");
            }
        }
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.dir().join("config.yaml")
    }

    /// What the names of the lab's namespaces begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The daemon.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("the daemon was started")
    }

    /// Starts the daemon, again where it had ended.
    pub fn start_daemon(&mut self) {
        self.daemon = Some(Daemon::start_on(
            self.plan.state_disk_size(),
            self.plan.daemons_log_levels(),
            self.dir.path(),
            &self.config(),
            self.home.as_ref(),
        ));
    }

    /// Starts the daemon by `command`, to which `run` and the configuration are added, with these
    /// standard streams.
    pub fn start_daemon_by(&mut self, command: Command, streams: [Stdio; 3]) {
        let home = self.home.as_ref();
        let daemon = Daemon::start_by(command, self.dir.path(), &self.config(), home, streams);
        self.daemon = Some(daemon);
    }

    fn write_config(&self) {
        let yaml = self.plan.yaml(self.dir(), &self.prefix);
        std::fs::write(self.config(), yaml).expect("the folder is there");
    }

    /// Writes the plan as `change` leaves it, and has the daemon read it.
    ///
    /// # Panics
    /// Where the daemon does not take it.
    pub fn reload(&mut self, change: impl FnOnce(Plan) -> Plan) {
        self.plan = change(self.plan.clone());
        self.add_guests();
        self.write_config();
        let line = self.hang_up();
        assert!(
            !line.contains("WARN") && !line.contains("ERROR"),
            "refused: {line}"
        );
    }

    /// Writes the plan as `change` leaves it and has the daemon read it, which may have no way to say
    /// what became of that.
    pub fn reload_unheard(&mut self, change: impl FnOnce(Plan) -> Plan) {
        self.plan = change(self.plan.clone());
        self.add_guests();
        self.write_config();
        self.daemon().signal(Signal::HUP);
    }

    /// Has the daemon read a file of `text`, and returns what it said about it. The plan stays.
    pub fn reload_text(&mut self, text: &str) -> String {
        std::fs::write(self.config(), text).expect("the folder is there");
        let line = self.hang_up();
        self.write_config();
        line
    }

    /// SIGHUP; the line of the log that tells the outcome.
    fn hang_up(&mut self) -> String {
        let daemon = self.daemon();
        let before = daemon.log().len();
        daemon.signal(Signal::HUP);
        let mut answer = None;
        // Looked for often: programs measure how long a reload takes.
        let pause = Duration::from_millis(1);
        within_every(PATIENCE, pause, "an answer to SIGHUP in the log", || {
            let log = daemon.log();
            let said = log.get(before..).unwrap_or_default();
            answer = said.rsplit_once('\n').and_then(|(lines, _)| {
                lines
                    .lines()
                    .find(|line| line.contains("reloaded"))
                    .map(str::to_owned)
            });
            answer.is_some()
        });
        answer.unwrap_or_default()
    }

    /// `vswitch show WHAT --json`.
    ///
    /// # Panics
    /// Where it fails or does not print JSON.
    #[must_use]
    pub fn show(&self, what: &str) -> serde_json::Value {
        let daemon = self.daemon.as_ref().expect("the daemon was started");
        let text = daemon.show(what).ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("show {what}: {error}: {text}"))
    }

    /// Asserts that the conservation identity holds.
    ///
    /// # Panics
    /// Where it does not.
    pub fn audit(&self) {
        let daemon = self.daemon.as_ref().expect("the daemon was started");
        let done = daemon.show("audit");
        assert_eq!(
            done.code,
            Some(0),
            "the audit does not hold: {}{}",
            done.stdout,
            done.stderr
        );
    }

    /// How many packets of `port` were refused for `reason`.
    #[must_use]
    pub fn drops(&self, port: &str, reason: &str) -> u64 {
        let rows = self.show("drops");
        let rows = rows.as_array().cloned().unwrap_or_default();
        let wanted = |row: &&serde_json::Value| row["port"] == port && row["reason"] == reason;
        rows.iter()
            .filter(wanted)
            .filter_map(|row| row["packets"].as_u64())
            .sum()
    }

    /// The MAC addresses that the switch knows.
    #[must_use]
    pub fn fdb(&self) -> Vec<String> {
        let rows = self.show("fdb");
        let rows = rows.as_array().cloned().unwrap_or_default();
        rows.iter()
            .filter_map(|row| row["mac"].as_str().map(str::to_owned))
            .collect()
    }

    /// Runs a `vswitch` command to its end, in the lab's folder.
    #[must_use]
    pub fn vswitch(&self, arguments: &[&str]) -> Done {
        let mut command = Command::new(crate::binary::vswitch());
        command.args(arguments).current_dir(self.dir());
        run(None, &mut command, "", Duration::from_secs(60))
    }

    /// Asserts the audit, ends the daemon in good order, and returns what the first logger wrote.
    ///
    /// # Panics
    /// Where the audit does not hold or the daemon fails.
    #[must_use]
    pub fn finish(&mut self) -> Records {
        self.audit();
        self.end();
        self.records(0)
    }

    /// Ends the daemon in good order.
    ///
    /// # Panics
    /// Where it fails.
    pub fn end(&mut self) {
        let status = self.daemon().stop(Signal::TERM);
        assert!(
            status.success(),
            "vswitch run ended with {status}:\n{}",
            self.daemon().log()
        );
        self.daemon = None;
    }

    /// What logger number `logger`, from 0, has written so far.
    #[must_use]
    pub fn records(&self, logger: usize) -> Records {
        // Of every guest there ever was: the log outlives ports.
        let ports: Vec<_> = self.guests.iter().map(|guest| guest.port.clone()).collect();
        Records::read(&self.dir().join(format!("flowlogs/{logger}")), &ports)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.daemon = None;
        for netns in &self.namespaces {
            // A test may have deleted it.
            let _ = netns.delete();
        }
    }
}

/// Waits until `holds`.
///
/// # Panics
/// Where it does not within ten seconds.
pub fn eventually(what: &str, holds: impl FnMut() -> bool) {
    within(PATIENCE, what, holds);
}

/// Waits until `holds`.
///
/// # Panics
/// Where it does not in that time.
pub fn within(patience: Duration, what: &str, holds: impl FnMut() -> bool) {
    within_every(patience, Duration::from_millis(20), what, holds);
}

fn within_every(patience: Duration, pause: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {patience:?}");
        thread::sleep(pause);
    }
}

/// Removes what test processes that were killed have left.
fn remove_leftovers() {
    for entry in std::fs::read_dir("/run/netns")
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        let is_gone = process.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        if is_gone && let Ok(netns) = Netns::named(&name) {
            let _ = netns.delete();
        }
    }
}
