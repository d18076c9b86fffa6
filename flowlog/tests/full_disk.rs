//! A disk without room: what was lost is a number, and what was spooled before is delivered.
//!
//! The disk is a small one in memory, mounted in a namespace of its own; needs root.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod support;

use flowlog::{Cause, Collector, Delivery, LoggerSpec, State, Storage};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};
use support::*;

const DISK: &str = "FLOWLOG_FULL_DISK";

/// Runs a test of this program with `size` of disk mounted at the folder that it is told.
fn with_disk(test: &str, size: &str) {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: mounting a small disk needs root");
    }
    let dir = TempDir::new().unwrap();
    let script = format!("mount -t tmpfs -o size={size} tmpfs \"${DISK}\" && exec \"$0\" \"$@\"");
    let status = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(DISK, dir.path())
        .status()
        .unwrap();
    assert!(status.success());
}

fn disk() -> Option<PathBuf> {
    env::var_os(DISK).map(PathBuf::from)
}

/// Leaves `bytes` free.
fn fill(disk: &Path, bytes: usize) {
    let room = rustix::fs::statvfs(disk).unwrap();
    let room = (room.f_bavail * room.f_frsize) as usize;
    fs::write(disk.join("ballast"), vec![0; room - bytes]).unwrap();
}

fn close(collector: &mut Collector, n: u64, flows: u16) -> bool {
    for flow in 0..flows {
        let o = sent(udp(flow, 53), ACCEPT, packets(1));
        collector.observe(minute(n), &Lab::new(), &o);
    }
    let closed = collector.close(minute(n), &Lab::new(), &[]);
    closed.iter().all(|closed| closed.error.is_none())
}

#[test]
fn without_room_for_the_spool_the_rows_are_counted_and_the_next_interval_goes_on() {
    with_disk("full_spool", "1m");
}

#[test]
#[ignore = "run by the test above, where the disk is small"]
fn full_spool() {
    let Some(disk) = disk() else { return };
    let dir = TempDir::new().unwrap();
    let spec = logger(1, dir.path());
    let delivery = Delivery::open(&disk, SPOOL_MAX, flowlog::Access::default())
        .unwrap()
        .in_place();
    let mut collector = Collector::new(vec![spec.clone()], delivery);
    assert!(close(&mut collector, 0, 5));
    fill(&disk, 32 * 1024);
    assert!(!close(&mut collector, 1, 1000));
    let status = &collector.status()[0];
    assert_eq!((status.state, status.rows_lost), (State::Error, 1000));
    let cause = status.cause.as_ref().unwrap();
    assert!(cause.contains("No space left"), "{cause}");
    fs::remove_file(disk.join("ballast")).unwrap();
    assert!(close(&mut collector, 2, 7));
    let status = &collector.status()[0];
    assert_eq!(
        (status.state, status.rows, status.rows_lost),
        (State::Active, 12, 1000)
    );
    assert_eq!(tree(root(&spec)).len(), 2);
}

#[test]
fn a_directory_without_room_is_waited_for_and_gets_whole_files() {
    with_disk("full_directory", "1m");
}

#[test]
#[ignore = "run by the test above, where the disk is small"]
fn full_directory() {
    let Some(disk) = disk() else { return };
    let dir = TempDir::new().unwrap();
    let spec = LoggerSpec {
        storage: Storage::Directory(disk.join("logs")),
        ..logger(1, dir.path())
    };
    let mut collector = remembering(std::slice::from_ref(&spec), &dir.path().join("state"));
    fill(&disk, 32 * 1024);
    (0..3).for_each(|n| assert!(close(&mut collector, n, 1000)));
    // Asked often enough to be called down.
    for _ in 0..3 {
        collector.reconfigure(vec![spec.clone()], &Lab::new());
    }
    let status = &collector.status()[0];
    assert_eq!(
        (status.files, status.backlog.files, status.rows_lost),
        (0, 3, 0)
    );
    assert!(
        status
            .last_error
            .as_ref()
            .unwrap()
            .contains("No space left")
    );
    assert!(status.store.is_none_or(|cause| cause == Cause::Full));
    assert!(tree(root(&spec)).is_empty(), "{:?}", tree(root(&spec)));
    fs::remove_file(disk.join("ballast")).unwrap();
    collector.reconfigure(vec![spec.clone()], &Lab::new());
    assert_eq!(collector.status()[0].rows, 3000);
    assert_eq!(tree(root(&spec)).len(), 3);
}
