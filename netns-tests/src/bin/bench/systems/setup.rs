//! What all systems are made with.

use anyhow::{Result, bail, ensure};
use netns_tests::{
    Guest, Plan,
    rules::{any_in, any_out},
    run,
};
use std::{
    net::IpAddr,
    process::Command,
    time::{Duration, Instant},
};
use tap::{Links, Netns};

/// How long anything of the setup may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How many guests there are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Guests {
    Two,
    Three,
}

impl Guests {
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Two => &["a", "b"],
            Self::Three => &["a", "b", "c"],
        }
    }

    /// A plan whose guests are all in the group `open`, without loggers; `keys` go to each port.
    pub(super) fn plan(self, groups: &[&str], keys: &str) -> Plan {
        let plan = Plan::new()
            .no_loggers()
            .group("open", &[any_in(), any_out()]);
        self.names().iter().fold(plan, |plan, name| {
            plan.port(name, |port| {
                port.groups = groups.iter().map(|&group| group.to_owned()).collect();
                port.keys = keys.to_owned();
            })
        })
    }
}

/// Waits until somebody has made `interface`.
pub(super) fn wait_for(netns: &Netns, interface: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while Links::open(Some(netns))?.find(interface)?.is_none() {
        ensure!(Instant::now() < deadline, "{interface} does not appear");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// As the switch sets up what it makes.
pub(super) fn configure(guest: &Guest) -> Result<()> {
    let (interface, port) = (guest.port().tap(), guest.port());
    let mut links = Links::open(Some(guest.netns()))?;
    links.set_mac(&interface, port.mac())?;
    links.disable_dad(&interface)?;
    links.set_up(&interface, true)?;
    links.add_address(&interface, IpAddr::V4(guest.ip()), 24)?;
    Ok(())
}

/// Runs a shell script in `netns`.
pub(super) fn sh(netns: &Netns, script: &str) -> Result<String> {
    feed(Some(netns), Command::new("sh").args(["-ec", script]), "")
}

/// Runs a program with `input`, and returns what it printed.
pub(super) fn feed(netns: Option<&Netns>, command: &mut Command, input: &str) -> Result<String> {
    let done = run(netns, command, input, PATIENCE);
    if done.code != Some(0) {
        bail!("{command:?}: {}{}", done.stdout, done.stderr);
    }
    Ok(done.stdout)
}
