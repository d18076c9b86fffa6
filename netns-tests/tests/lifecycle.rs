//! Commands from a user's chair: what they make is gone afterwards.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use netns_tests::{Plan, binary::vswitch, eventually, rules::ping_in};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    path::Path,
    process::{Child, Command, Stdio},
};
use tap::{Links, Netns};

/// The namespaces that the demo with that process number has made.
fn made_by(demo: u32) -> usize {
    let prefix = format!("vswitch-demo-{demo}");
    let entries = std::fs::read_dir("/run/netns")
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .count()
}

fn demo(dir: &Path) -> Child {
    let mut demo = Command::new(vswitch());
    demo.arg("demo")
        .current_dir(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    demo.spawn().unwrap()
}

#[test]
fn the_demo_shows_records_leaves_its_files_and_removes_what_it_made() {
    let dir = tempfile::tempdir().unwrap();
    let running = demo(dir.path());
    let number = running.id();
    eventually("the demo's three guests", || made_by(number) == 3);
    let done = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(said.contains("ACCEPT") && said.contains("DROP"), "{said}");
    assert!(dir.path().join("flowlogs").is_dir());
    assert_eq!(made_by(number), 0);
}

#[test]
fn an_interrupted_demo_removes_what_it_made() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = demo(dir.path());
    let number = running.id();
    eventually("the demo's first guest", || made_by(number) > 0);
    kill_process(Pid::from_child(&running), Signal::INT).unwrap();
    running.wait().unwrap();
    assert_eq!(made_by(number), 0);
}

#[test]
fn a_lab_outlives_the_daemon_and_down_removes_exactly_what_up_made() {
    let plan = Plan::new().group("ping", &[ping_in()]);
    let mut lab = plan.guest("a", &["out"]).guest("b", &["ping"]).prepare();
    // The namespace of a is there before; that of b is the lab's to make.
    lab.guest("b").netns().delete().unwrap();
    let config = lab.config();
    let config = config.to_str().unwrap();
    let _ = lab.vswitch(&["lab", "up", config]).ok();
    let _ = lab.vswitch(&["lab", "up", config]).ok();
    assert!(lab.guest("b").netns().exists());
    let tap_is_there = |name: &str| {
        let guest = lab.guest(name);
        let mut links = Links::open(Some(guest.netns())).unwrap();
        links.find(&guest.port().tap()).unwrap().is_some()
    };
    assert!(tap_is_there("a") && tap_is_there("b"));
    lab.start_daemon();
    let (a, b) = lab.pair("a", "b");
    assert!(a.pings(b.ip(), 1, 56));
    lab.end();
    let outlived = Links::open(Some(lab.guest("a").netns()))
        .unwrap()
        .find("tap-a")
        .unwrap();
    assert!(outlived.is_some());
    let _ = lab.vswitch(&["lab", "down", config]).ok();
    assert!(lab.guest("a").netns().exists(), "it was not ours");
    assert_eq!(
        Links::open(Some(lab.guest("a").netns()))
            .unwrap()
            .find("tap-a")
            .unwrap(),
        None
    );
    assert!(!lab.guest("b").netns().exists());
    let _ = lab.vswitch(&["lab", "down", config]).ok();
}

#[test]
fn run_makes_what_is_missing_and_removes_it_at_either_signal() {
    let mut lab = Plan::new()
        .guest("a", &["out"])
        .guest("b", &["out"])
        .prepare();
    for signal in [Signal::TERM, Signal::INT] {
        lab.guest("b").netns().delete().unwrap();
        lab.start_daemon();
        assert!(lab.guest("b").netns().exists());
        assert!(lab.daemon().stop(signal).success());
        assert!(!lab.guest("b").netns().exists());
        assert!(lab.guest("a").netns().exists());
        Netns::named(&format!("{}b", lab.prefix()))
            .unwrap()
            .create()
            .unwrap();
    }
}

#[test]
fn what_a_killed_daemon_left_does_not_stop_the_next() {
    let plan = Plan::new().group("ping", &[ping_in()]);
    let mut lab = plan.guest("a", &["out"]).guest("b", &["ping"]).start();
    lab.daemon().stop_by_force();
    lab.start_daemon();
    let (a, b) = lab.pair("a", "b");
    assert!(a.pings(b.ip(), 1, 56));
    let _ = lab.finish();
}

#[test]
fn a_mistake_is_told_with_its_place_and_exit_code_2() {
    let lab = Plan::new().guest("a", &["nowhere"]).prepare();
    let config = lab.config();
    for command in ["check", "run"] {
        let done = lab.vswitch(&[command, config.to_str().unwrap()]);
        assert_eq!(
            done.code,
            Some(2),
            "{command}: {}{}",
            done.stdout,
            done.stderr
        );
        assert!(
            done.stderr.contains("nowhere"),
            "{command}: {}",
            done.stderr
        );
    }
    assert_eq!(lab.vswitch(&["run"]).code, Some(2));
    assert_eq!(
        lab.vswitch(&["show", "audit", "--socket", "/nowhere"]).code,
        Some(1)
    );
}

#[test]
fn a_trace_tells_the_verdict_that_forwarding_gives_and_changes_nothing() {
    let plan = Plan::new().group("ping", &[ping_in()]);
    let mut lab = plan.guest("a", &["out"]).guest("b", &["ping"]).start();
    let (a, b) = lab.pair("a", "b");
    let socket = lab.dir().join("control.sock");
    let allowed = format!("icmp {} > {} echo-request", a.ip(), b.ip());
    let refused = format!("tcp {}:40000 > {}:22 syn", a.ip(), b.ip());
    for (packet, word) in [(&allowed, "ACCEPT"), (&refused, "default_deny")] {
        let running = lab.vswitch(&[
            "trace",
            "--port",
            "a",
            packet,
            "--socket",
            socket.to_str().unwrap(),
        ]);
        assert!(
            running.stdout.contains(word),
            "{packet}: {}{}",
            running.stdout,
            running.stderr
        );
        let from_file = lab.vswitch(&[
            "trace",
            "--config",
            lab.config().to_str().unwrap(),
            "--port",
            "a",
            packet,
        ]);
        assert!(
            from_file.stdout.contains(word),
            "{packet}: {}{}",
            from_file.stdout,
            from_file.stderr
        );
    }
    assert_eq!(lab.show("connections").as_array().map(Vec::len), Some(0));
    lab.finish().are(&[]);
}
