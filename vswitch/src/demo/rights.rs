//! What the demo needs of the system, asked before anything is made.

use anyhow::{Result, bail};
use std::fs::{self, File};
use std::io;

/// Capabilities (capabilities(7)) and their bits in `CapEff`.
const NEEDED: [(&str, u32); 3] = [
    ("CAP_NET_ADMIN", 12),
    ("CAP_NET_RAW", 13),
    ("CAP_SYS_ADMIN", 21),
];

/// How to get them.
const REMEDY: &str = "run it as root (sudo vswitch demo; in a container, with --privileged)";

/// The TUN/TAP clone device.
const DEVICE: &str = "/dev/net/tun";

/// Names the right that is missing, in one line.
pub(super) fn check() -> Result<()> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let missing = missing(&status);
    if !missing.is_empty() {
        bail!("the demo needs {}; {REMEDY}", missing.join(" and "));
    }
    match File::options().read(true).write(true).open(DEVICE) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            bail!("the demo may not open {DEVICE}; {REMEDY}")
        }
        Err(error) => {
            bail!(
                "the demo cannot open {DEVICE} ({error}); load the module (modprobe tun), or hand the device to the container (--device {DEVICE})"
            )
        }
    }
}

/// The capabilities that a process with this `/proc/PID/status` lacks; none where it does not say.
fn missing(status: &str) -> Vec<&'static str> {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(bits) = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()) else {
        return Vec::new();
    };
    NEEDED
        .iter()
        .filter(|(_, bit)| bits >> bit & 1 == 0)
        .map(|(name, _)| *name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(missing("Name:\tx\nCapEff:\t000001ffffffffff\n"), [""; 0]);
        assert_eq!(
            missing("CapEff:\t0000000000000000\n"),
            ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN"]
        );
        // Docker's default set.
        assert_eq!(
            missing("CapEff:\t00000000a80425fb\n"),
            ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]
        );
        assert_eq!(missing(""), [""; 0]);
    }
}
