//! Where and when it was measured.

use serde_json::{Value, json};
use std::{fs, process::Command};

/// Facts for the report.
pub(crate) fn describe() -> Value {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let mut names = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    let cpu = names.find(|(key, _)| key.trim_end() == "model name");
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    json!({
        "cores": cores,
        "cpu": cpu.map_or("", |(_, name)| name.trim()),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "date": say("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
        "commit": say("git", &["rev-parse", "--short", "HEAD"]),
    })
}

/// What a program prints; empty where it cannot.
fn say(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().trim().to_owned()
}

/// Stolen and total processor time since boot, in ticks (proc(5), the line `cpu`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticks {
    stolen: f64,
    total: f64,
}

impl Ticks {
    pub(crate) fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let ticks: Vec<f64> = line
            .split_whitespace()
            .skip(1)
            .take(8)
            .filter_map(|tick| tick.parse().ok())
            .collect();
        Self {
            stolen: ticks.get(7).copied().unwrap_or_default(),
            total: ticks.iter().sum(),
        }
    }

    /// The share that was stolen since `before`.
    pub(crate) fn steal_since(self, before: Self) -> f64 {
        (self.stolen - before.stolen) / (self.total - before.total).max(1.0)
    }
}
