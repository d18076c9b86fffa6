//! The reference pump: the same flags and buffers as the switch's, nothing inspected.

use super::{
    Between, PUMP, System,
    setup::{Guests, configure, wait_for},
};
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child, Command, Stdio};

/// A running pump, ended when it is dropped.
#[derive(Debug)]
pub(super) struct Pump(Child);

impl Pump {
    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

pub(super) fn start(method: &str, guests: Guests) -> Result<System> {
    let lab = guests.plan(&["open"], "").prepare();
    let program =
        std::env::var_os("PUMP_BIN").context("PUMP_BIN names the pump; run `cargo xtask bench`")?;
    let places = guests.names().iter().map(|name| {
        let guest = lab.guest(name);
        format!("{}@{}", guest.port().tap(), guest.netns())
    });
    let child = Command::new(program)
        .arg(method)
        .args(places)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let pump = Pump(child);
    for name in guests.names() {
        let guest = lab.guest(name);
        wait_for(guest.netns(), &guest.port().tap())?;
        configure(guest)?;
    }
    System::new(
        &format!("{PUMP}, {method}"),
        lab,
        guests,
        Between::Pump(pump),
    )
}
