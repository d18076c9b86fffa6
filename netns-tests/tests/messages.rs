//! A standard error that fails costs messages, and nothing else.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use netns_tests::{Lab, Plan, binary::vswitch, eventually, rules::udp_in};
use rustix::{
    fs::{Mode, OFlags},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use std::{
    fs::{self, File},
    io::{self, PipeWriter, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};
use tap::Links;

fn lab() -> Lab {
    let plan = Plan::new().group("five", &[udp_in(5000)]);
    plan.guest("a", &["out"]).guest("b", &["five"]).prepare()
}

fn start(lab: &mut Lab, stderr: impl Into<Stdio>) {
    let streams = [Stdio::null(), Stdio::null(), stderr.into()];
    lab.start_daemon_by(Command::new(vswitch()), streams);
}

/// A reload, a TAP that vanishes, packets, their records and the end, all of which give messages.
fn does_all_its_work(mut lab: Lab) {
    lab.reload_unheard(|plan| plan.guest("late", &["out"]));
    eventually("the reload", || port(&lab, "late").is_some());
    let late = lab.guest("late");
    let mut links = Links::open(Some(late.netns())).unwrap();
    eventually("its TAP", || {
        links.find(&late.port().tap()).unwrap().is_some()
    });
    links.remove(&late.port().tap()).unwrap();
    eventually("the port is down", || {
        port(&lab, "late").is_some_and(|port| port["up"] == false)
    });
    let (a, b) = lab.pair("a", "b");
    let (client, server) = (a.udp(4000), b.udp(5000));
    for _ in 0..20 {
        client.send_to(b"on", (b.ip(), 5000)).unwrap();
        server.recv(&mut [0; 16]).unwrap();
    }
    let loggers = lab.show("loggers");
    assert_eq!(loggers[0]["cause"], serde_json::Value::Null, "{loggers}");
    let records = lab.finish();
    assert_eq!(records.packets("b ingress udp a:4000>b:5000 ACCEPT"), 20);
}

fn port(lab: &Lab, name: &str) -> Option<serde_json::Value> {
    let ports = lab.show("ports");
    let row = |rows: &Vec<serde_json::Value>| rows.iter().find(|row| row["name"] == name).cloned();
    ports.as_array().and_then(row)
}

fn lost(lab: &Lab) -> (u64, String) {
    let status = lab.show("status");
    let cause = status["messages_cause"].as_str().unwrap_or_default();
    (status["messages_lost"].as_u64().unwrap(), cause.to_owned())
}

/// A disk of one page with a full file on it; taken away when dropped.
struct FullDisk(PathBuf);

impl FullDisk {
    fn mount(folder: &Path) -> (Self, File) {
        fs::create_dir(folder).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4k", "tmpfs"])
            .arg(folder)
            .status();
        assert!(mount.unwrap().success());
        let disk = Self(folder.to_owned());
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(folder.join("log"))
            .unwrap();
        file.write_all(&[b'x'; 4096]).unwrap();
        (disk, file)
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        // Lazily: the daemon may still have its log open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_under_standard_error_costs_messages_and_nothing_else() {
    let mut lab = lab();
    let (_disk, file) = FullDisk::mount(&lab.dir().join("full"));
    start(&mut lab, file);
    let (messages, cause) = lost(&lab);
    assert!(
        messages > 0 && cause.contains("No space"),
        "{messages} {cause}"
    );
    does_all_its_work(lab);
}

#[test]
fn what_was_lost_is_told_with_the_next_message_that_can_be_written() {
    let mut lab = lab();
    let (disk, file) = FullDisk::mount(&lab.dir().join("full"));
    start(&mut lab, file.try_clone().unwrap());
    assert!(lost(&lab).0 > 0);
    file.set_len(0).unwrap();
    lab.reload_unheard(|plan| plan);
    let log = || fs::read_to_string(disk.0.join("log")).unwrap();
    eventually("the number of messages lost", || {
        log().contains("messages of the program were lost")
    });
    assert!(log().contains("No space left"), "{}", log());
    lab.end();
}

#[test]
fn a_standard_error_whose_reader_has_gone_costs_messages_and_nothing_else() {
    let mut lab = lab();
    let (reader, writer) = io::pipe().unwrap();
    start(&mut lab, writer);
    drop(reader);
    does_all_its_work(lab);
}

/// Fills a pipe, as others do that have it open too.
fn fill(pipe: PipeWriter) {
    let pipe = OwnedFd::from(pipe);
    rustix::io::ioctl_fionbio(&pipe, true).unwrap();
    while rustix::io::write(&pipe, &[b'x'; 4096]).is_ok() {}
    while rustix::io::write(&pipe, b"x").is_ok() {}
    rustix::io::ioctl_fionbio(&pipe, false).unwrap();
}

#[test]
fn a_standard_error_that_takes_nothing_stops_neither_packets_nor_the_end() {
    let mut lab = lab();
    let (_reader, writer) = io::pipe().unwrap();
    start(&mut lab, writer.try_clone().unwrap());
    fill(writer);
    does_all_its_work(lab);
}

#[test]
fn a_standard_error_that_another_program_made_non_blocking_is_written_whole() {
    let mut lab = lab();
    let (mut reader, writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    start(&mut lab, writer);
    let reading = thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    lab.end();
    drop(lab);
    let text = reading.join().unwrap().unwrap();
    assert!(
        text.contains("forwarding") && text.contains("stopped"),
        "{text}"
    );
}

#[test]
fn a_terminal_that_is_closed_leaves_the_switch_running() {
    let mut lab = lab();
    let (master, streams) = terminal();
    // Gives its process to the daemon, as the first of a session that has the terminal.
    let mut command = Command::new("setsid");
    command.arg("--ctty").arg(vswitch());
    lab.start_daemon_by(command, streams);
    drop(master);
    thread::sleep(Duration::from_millis(200));
    does_all_its_work(lab);
}

#[test]
fn a_terminal_that_is_closed_without_a_sighup_swallows_no_reload_that_is_asked_for_later() {
    let mut lab = lab();
    let (master, streams) = terminal();
    // The terminal is not that of its session, as after `disown`: no SIGHUP comes.
    let mut command = Command::new("setsid");
    command.arg(vswitch());
    lab.start_daemon_by(command, streams);
    drop(master);
    // Longer than a SIGHUP is taken for that of the terminal.
    thread::sleep(Duration::from_millis(2500));
    does_all_its_work(lab);
}

/// A terminal: its other end, and it as three standard streams.
fn terminal() -> (OwnedFd, [Stdio; 3]) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
    let streams = [(); 3].map(|()| slave.try_clone().unwrap().into());
    (master, streams)
}

#[test]
fn a_hangup_while_the_configuration_is_read_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.yaml");
    // A file that is not read to its end until it is written.
    assert!(
        Command::new("mkfifo")
            .arg(&config)
            .status()
            .unwrap()
            .success()
    );
    let mut daemon = Command::new(vswitch())
        .arg("run")
        .arg(&config)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&daemon);
    eventually("it catches SIGHUP", || {
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        caught.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 1)
    });
    kill_process(pid, Signal::HUP).unwrap();
    thread::sleep(Duration::from_millis(200));
    assert_eq!(daemon.try_wait().unwrap(), None);
    // Nothing is made yet, so that nothing is in the way of the end.
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(daemon.wait().unwrap().code(), None);
}
