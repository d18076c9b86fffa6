//! Debian packages that the tests use.

use crate::command::command;
use std::{
    path::Path,
    process::{Command, Stdio},
};

/// A program, and the package that has it.
type Wanted = (&'static str, &'static str);

/// What the tests run: those in namespaces, and the counting of instructions.
pub(crate) const FOR_TESTS: &[Wanted] = &[
    ("ip", "iproute2"),
    ("ping", "iputils-ping"),
    ("tcpdump", "tcpdump"),
    ("nft", "nftables"),
    ("ethtool", "ethtool"),
    ("busybox", "busybox-static"),
    ("nmap", "nmap"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("valgrind", "valgrind"),
    // Certificates of stores.
    ("openssl", "openssl"),
    // Foreign readers of the flow log: an IPFIX collector, and Python for the rest.
    ("nfcapd", "nfdump"),
    ("python3", "python3-venv"),
    ("java", "openjdk-17-jre-headless"),
    // The strictest object storage that Debian has: OpenStack Swift with its S3 interface.
    ("swift-proxy-server", "swift-proxy"),
    ("swift-account-server", "swift-account"),
    ("swift-container-server", "swift-container"),
    ("swift-object-server", "swift-object"),
    ("memcached", "memcached"),
];

/// What only the measurements run.
pub(crate) const FOR_MEASURING: &[Wanted] = &[
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("iperf3", "iperf3"),
    // Peers. Measuring goes on without what cannot be had.
    ("iptables-restore", "iptables"),
    ("ovs-vswitchd", "openvswitch-switch"),
    ("valgrind", "valgrind"),
];

/// Installs what is missing, if root and apt can; tells what to do otherwise. Nothing fails here: a
/// test that misses its program says so itself.
pub(crate) fn install(wanted: &[Wanted]) {
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(program, _)| !is_there(program))
        .map(|&(_, package)| package)
        .collect();
    if missing.is_empty() {
        return;
    }
    let list = missing.join(" ");
    println!("installing {list}");
    let is_done = apt(&["update"])
        && apt(&[&["install", "-y", "--no-install-recommends"], &missing[..]].concat());
    if !is_done {
        println!(
            "could not install {list}; as root, on Debian: apt-get update && apt-get install {list}"
        );
    }
}

fn apt(arguments: &[&str]) -> bool {
    let result = command("apt-get", &["-q=2"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    result.is_ok_and(|status| status.success())
}

/// Whether a program is on the path, where a user's path may lack the administrator's folders.
pub(crate) fn is_there(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin"])
        .any(|folder| Path::new(folder).join(program).is_file())
}

/// Whether this runs as root.
pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
