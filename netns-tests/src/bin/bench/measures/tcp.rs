//! TCP in bulk, by iperf3.

use super::Figure;
use crate::systems::System;
use anyhow::{Context, Result};
use netns_tests::run;
use std::{
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

const PORT: &str = "5201";
/// Beyond the time itself: connecting, and the window's growth, which is left out.
const SLACK: Duration = Duration::from_secs(10);

/// Bits that `flows` connections carry from the first guest to the second.
pub(super) fn stream(system: &System, time: Duration, flows: u32) -> Result<Figure> {
    let [a, b] = system.pair();
    let mut server = Command::new("iperf3");
    server
        .args(["-s", "-1", "-p", PORT])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _server = Server(b.netns.run_in(|| server.spawn())??);
    let mut client = Command::new("iperf3");
    client
        .args(["-c", &b.ip.to_string(), "-p", PORT, "-O", "1", "-J"])
        .args(["-t", &time.as_secs().to_string()])
        .args(["-P", &flows.to_string()]);
    let mut once = || run(Some(&a.netns), &mut client, "", time + SLACK);
    let mut done = once();
    for _ in 0..20 {
        if !done.stdout.contains("Connection refused") {
            break;
        }
        thread::sleep(Duration::from_millis(50));
        done = once();
    }
    let json: serde_json::Value = serde_json::from_str(&done.stdout).context("iperf3 says JSON")?;
    let bits = json["end"]["sum_received"]["bits_per_second"].as_f64();
    let sent_again = json["end"]["sum_sent"]["retransmits"]
        .as_f64()
        .unwrap_or_default();
    let value = bits.with_context(|| format!("iperf3 gives no figure: {}", json["error"]))? / 1e9;
    Ok(Figure {
        value,
        beside: vec![("sent again", sent_again)],
    })
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
