//! What a replay counts: no port of the configuration is in any capture, so that each packet is recorded
//! once, with direction `unknown`.

use super::Packets;
use anyhow::{Context, Result};
use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Stdio},
};

const LAB: &str = "
vpcs: [{ name: none }]
subnets: [{ name: none, vpc: none, cidr: 192.0.2.0/24 }]
region: NONE
ports: [{ name: none, subnet: none, mac_address: '02:fe:fe:fe:fe:fe', fixed_ips: [192.0.2.254], tap: { name: none } }]
flowlog_loggers: [{ name: all, resource_type: VPC, resource: none, scope: all, aggregation_interval: 15m,
  empty_intervals: skip, storage_url: ./log }]
";

/// Packets by tuple, or why the capture is not read.
pub(super) fn packets(
    vswitch: &Path,
    capture: &Path,
) -> Result<std::result::Result<Packets, String>> {
    let directory = std::env::temp_dir().join(format!(
        "vswitch-captures-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("lab.yaml"), LAB)?;
    let output = Command::new(vswitch)
        .args(["replay", "--config", "lab.yaml", "--json"])
        .arg(capture)
        .current_dir(&directory)
        .stdin(Stdio::null())
        .output()?;
    std::fs::remove_dir_all(&directory)?;
    let (out, err) = (output.stdout, String::from_utf8_lossy(&output.stderr));
    if out.is_empty() {
        let message = err.trim_end().rsplit("byte 0").next().unwrap_or_default();
        let message = message
            .trim_start_matches(" unpacked")
            .trim_start_matches(": ");
        return Ok(Err(message.to_owned()));
    }
    let mut packets = Packets::new();
    for line in String::from_utf8(out)?.lines() {
        let row: Value = serde_json::from_str(line).context("not a line of JSON")?;
        if row["direction"] != "unknown" {
            continue;
        }
        let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
        let number = |field: &str| row[field].as_u64().unwrap_or_default();
        let tuple = format!(
            "{} {}:{} > {}:{}",
            number("protocol"),
            text("src_addr"),
            number("src_port"),
            text("dst_addr"),
            number("dst_port")
        );
        *packets.entry(tuple).or_default() += number("packets");
    }
    Ok(Ok(packets))
}
