//! Where measured packets end.

use super::flows::DESTINATIONS;
use crate::systems::End;
use anyhow::{Context, Result, ensure};
use netns_tests::run;
use std::{process::Command, time::Duration};

/// An nftables counter at an interface's ingress, that also drops.
pub(crate) struct Drain<'a>(&'a End);

impl<'a> Drain<'a> {
    pub(crate) fn new(end: &'a End) -> Result<Self> {
        let device = &end.interface;
        let script = format!(
            "table netdev bench {{
               counter c {{ }}
               chain in {{
                 type filter hook ingress device {device} priority 0;
                 udp dport {DESTINATIONS} counter name c drop
               }}
             }}"
        );
        let drain = Self(end);
        let _ = drain.nft(&["-f", "-"], &script)?;
        Ok(drain)
    }

    /// Packets so far.
    pub(crate) fn read(&self) -> Result<u64> {
        let text = self.nft(&["-j", "list", "counter", "netdev", "bench", "c"], "")?;
        let json: serde_json::Value = serde_json::from_str(&text)?;
        let rows = json["nftables"].as_array().context("nft lists")?;
        let packets = rows
            .iter()
            .find_map(|row| row["counter"]["packets"].as_u64());
        packets.context("nft counts")
    }

    fn nft(&self, arguments: &[&str], input: &str) -> Result<String> {
        let done = run(
            Some(&self.0.netns),
            Command::new("nft").args(arguments),
            input,
            Duration::from_secs(5),
        );
        ensure!(done.code == Some(0), "nft: {}", done.stderr);
        Ok(done.stdout)
    }
}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        let _ = self.nft(&["delete", "table", "netdev", "bench"], "");
    }
}
