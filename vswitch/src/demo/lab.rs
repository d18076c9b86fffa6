//! The guests' namespaces, and a directory for the daemon's memory: made for one run, removed with it.
//!
//! Their names hold the number of the process. What a killed demo left behind is known by a number that
//! is no demo's any more, and removed at the next start.

use crate::messages::note;
use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tap::{Links, Netns};

/// What all names begin with.
const PREFIX: &str = "vswitch-demo-";

/// Where named namespaces are (`ip netns`).
const RUN_NETNS: &str = "/run/netns";

/// The guests.
pub(super) const GUESTS: [&str; 3] = ["web", "bastion", "intruder"];

/// The lab of this run. Dropping it removes everything.
#[derive(Debug)]
pub(super) struct Lab {
    run: u32,
    made: Vec<Netns>,
    state_dir: PathBuf,
}

impl Lab {
    /// Removes what killed runs left behind, and makes the guests' namespaces.
    pub(super) fn make() -> Result<Self> {
        remove_left_behind();
        let run = std::process::id();
        let state_dir = std::env::temp_dir().join(format!("{PREFIX}{run}"));
        let mut lab = Self {
            run,
            made: Vec::new(),
            state_dir,
        };
        fs::create_dir(&lab.state_dir)
            .with_context(|| format!("cannot make {}", lab.state_dir.display()))?;
        for guest in GUESTS {
            let netns = lab.netns(guest)?;
            netns.create()?;
            lab.made.push(netns.clone());
            // Neighbour discovery of interfaces without an IPv6 address would only clutter the counters.
            netns
                .run_in(disable_ipv6)?
                .context("cannot disable IPv6 in a guest")?;
            Links::open(Some(&netns))?.set_up("lo", true)?;
        }
        Ok(lab)
    }

    /// The part of all names that is this run's own.
    pub(super) fn run(&self) -> String {
        self.run.to_string()
    }

    /// The daemon's memory.
    pub(super) fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// A guest's namespace.
    pub(super) fn netns(&self, guest: &str) -> Result<Netns> {
        Ok(Netns::named(&format!("{PREFIX}{}-{guest}", self.run))?)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for netns in &self.made {
            if let Err(error) = netns.delete() {
                note(format_args!("vswitch: left behind: {error}"));
            }
        }
        // The daemon keeps nothing there that anybody would miss.
        let _ = fs::remove_dir_all(&self.state_dir);
    }
}

/// Not an error where the kernel has no IPv6.
fn disable_ipv6() -> io::Result<()> {
    match fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1") {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove_left_behind() {
    for name in names(Path::new(RUN_NETNS)).filter(|name| is_left_behind(name)) {
        if let Err(error) = Netns::named(&name).and_then(|netns| netns.delete()) {
            tracing::warn!(%error, "left behind by an earlier demo");
        }
    }
    let temp = std::env::temp_dir();
    for name in names(&temp).filter(|name| is_left_behind(name)) {
        let _ = fs::remove_dir_all(temp.join(name));
    }
}

fn names(directory: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// Whether a name is that of a demo which runs no more.
fn is_left_behind(name: &str) -> bool {
    let number = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split('-').next());
    number
        .and_then(|number| number.parse().ok())
        .is_some_and(|number: u32| !is_running(number))
}

/// Whether a process of that number runs this program. Another program with the number is a later one.
fn is_running(number: u32) -> bool {
    let program = |process: &str| fs::read_link(format!("/proc/{process}/exe")).ok();
    let name = |path: PathBuf| path.file_name().map(OsStr::to_owned);
    let mine = program("self").and_then(name);
    program(&number.to_string())
        .and_then(name)
        .is_some_and(|theirs| Some(theirs) == mine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_demos_that_run_no_more_are_left_behind() {
        // Numbers of processes end at 2^22 (proc(5), pid_max).
        assert!(is_left_behind("vswitch-demo-4194305-web"));
        assert!(is_left_behind("vswitch-demo-4194305"));
        assert!(!is_left_behind(&format!(
            "vswitch-demo-{}-web",
            std::process::id()
        )));
        for other in [
            "vswitch-demo-web",
            "vswitch-demo-",
            "web",
            "vswitch-demo-x-1",
        ] {
            assert!(!is_left_behind(other), "{other}");
        }
    }
}
