//! Two daemons, guests that are made anew, and configurations as they are delivered: what is another's
//! is left alone, and what is gone is noticed.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use netns_tests::{
    Container, Daemon, Done, Lab, Plan,
    binary::{root, vswitch},
    eventually,
    rules::ping_in,
    run,
};
use rustix::process::Signal;
use std::{
    io::{BufRead, BufReader, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    process::Command,
    time::Duration,
};
use tap::{Links, Netns};

/// Longest that a command may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn two_guests() -> Plan {
    let plan = Plan::new().group("ping", &[ping_in()]);
    plan.guest("a", &["out"]).guest("b", &["ping"])
}

fn a_pings_b(lab: &Lab) -> bool {
    let (a, b) = lab.pair("a", "b");
    a.pings(b.ip(), 1, 56)
}

/// The lab's configuration with other places for socket and state.
fn moved(lab: &Lab, socket: &str, state: &str) -> String {
    let text = std::fs::read_to_string(lab.config()).unwrap();
    let text = text.replace("control.sock", socket);
    let dir = lab.dir().display();
    text.replace(
        &format!("state_dir: {dir}/state"),
        &format!("state_dir: {dir}/{state}"),
    )
}

/// Runs a second daemon beside the lab's, which must not come to be.
fn refused(lab: &Lab, text: &str) -> String {
    let config = lab.dir().join("second.yaml");
    std::fs::write(&config, text).unwrap();
    let done = lab.vswitch(&["run", config.to_str().unwrap()]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    done.stderr
}

#[test]
fn a_second_run_of_a_configuration_touches_nothing_of_the_first() {
    let mut lab = two_guests().prepare();
    // The daemon's own to make, and so in its ledger.
    lab.guest("b").netns().delete().unwrap();
    lab.start_daemon();
    assert!(a_pings_b(&lab));
    let inode = lab.guest("b").netns().inode();
    let done = lab.vswitch(&["run", lab.config().to_str().unwrap()]);
    assert_eq!(done.code, Some(1));
    assert!(
        done.stderr.contains("a daemon is already listening"),
        "{}",
        done.stderr
    );
    let said = refused(&lab, &moved(&lab, "other.sock", "state"));
    assert!(said.contains("another daemon keeps its state"), "{said}");
    assert_eq!(lab.guest("b").netns().inode(), inode);
    assert!(a_pings_b(&lab));
    let _ = lab.finish();
}

/// What the daemon keeps may be seen by other users here, as where a package has made the folders.
fn open_to_all(lab: &Lab) {
    for folder in ["", "state", "state/spool"] {
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(lab.dir().join(folder), mode).unwrap();
    }
}

#[test]
fn no_lock_of_another_local_user_keeps_the_daemon_from_starting() {
    let mut lab = two_guests().start();
    lab.end();
    open_to_all(&lab);
    let state = lab.dir().join("state");
    let lock = |file: &Path| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg("flock").arg(file).args(["sleep", "20"]);
        command.spawn().unwrap()
    };
    let mut holder = lock(&state);
    eventually("the folder is locked", || {
        std::fs::File::open(&state).unwrap().try_lock().is_err()
    });
    // The locks that count are out of reach.
    for file in ["lock", "spool/lock"] {
        assert!(!lock(&state.join(file)).wait().unwrap().success(), "{file}");
    }
    lab.start_daemon();
    assert!(a_pings_b(&lab));
    let socket = std::fs::metadata(lab.dir().join("control.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    let _ = lab.finish();
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn a_tap_that_another_daemon_serves_is_refused_by_its_name() {
    let mut lab = two_guests().prepare();
    let config = lab.config();
    let config = config.to_str().unwrap();
    let _ = lab.vswitch(&["lab", "up", config]).ok();
    lab.start_daemon();
    let said = refused(&lab, &moved(&lab, "other.sock", "other"));
    assert!(
        said.contains("`tap-a`") && said.contains("in use by another program"),
        "{said}"
    );
    assert!(a_pings_b(&lab));
    // A daemon that opens its own TAP anew, here for another segment and back, is not another.
    for subnet in [2, 1] {
        lab.reload(|plan| plan.change("a", |port| port.subnet = subnet));
    }
    eventually("a is back", || a_pings_b(&lab));
    lab.end();
    lab.start_daemon();
    assert!(a_pings_b(&lab));
    let _ = lab.finish();
    let _ = lab.vswitch(&["lab", "down", config]).ok();
}

#[test]
fn a_port_that_moves_to_another_subnet_is_named_for_its_new_address_alone() {
    let mut lab = two_guests().start();
    lab.reload(|plan| plan.change("a", |port| port.subnet = 2));
    // As `logs` asks for the names of ids and addresses.
    let mut client = UnixStream::connect(lab.dir().join("control.sock")).unwrap();
    client.write_all(b"\"log_sources\"\n").unwrap();
    let mut line = String::new();
    BufReader::new(client).read_line(&mut line).unwrap();
    let sources: serde_json::Value = serde_json::from_str(&line).unwrap();
    let ports = sources["log_sources"]["ports"].as_array().unwrap();
    let named: Vec<_> = ports.iter().filter(|port| port["name"] == "a").collect();
    assert!(
        matches!(&named[..], [port] if port["addresses"][0] == "10.77.2.11"),
        "{named:?}"
    );
    let _ = lab.finish();
}

#[test]
fn a_namespace_made_anew_under_a_running_daemon_is_attached_by_a_reload() {
    let mut lab = two_guests().start();
    assert!(a_pings_b(&lab));
    // A program of the guest lives on, and its namespace with it, without a name.
    let _program = lab.guest("b").udp(9);
    lab.guest("b").netns().delete().unwrap();
    lab.guest("b").netns().create().unwrap();
    lab.reload(|plan| plan);
    // The old one would answer too.
    let taps = Links::open(Some(lab.guest("b").netns()))
        .unwrap()
        .taps()
        .unwrap();
    assert!(
        matches!(&taps[..], [(tap, _)] if tap == "tap-b"),
        "{taps:?}"
    );
    eventually("b answers", || a_pings_b(&lab));
    let _ = lab.finish();
}

#[test]
fn a_container_that_has_ended_takes_its_port_down_and_hinders_no_reload() {
    let container = Container::start();
    let at = |place: String| move |plan: Plan| plan.change("b", |port| port.place = Some(place));
    let mut lab = at(container.place())(two_guests()).start();
    drop(container);
    lab.reload(|plan| plan.group("ping", &[] as &[&str]));
    let log = lab.daemon().log();
    assert!(
        log.contains("port `b` is down: there is no network namespace"),
        "{log}"
    );
    let down = |lab: &Lab| {
        let ports = lab.show("ports");
        let ports = ports.as_array().cloned().unwrap_or_default();
        ports
            .iter()
            .any(|port| port["name"] == "b" && port["up"] == false)
    };
    assert!(down(&lab), "{}", lab.show("ports"));
    let next = Container::start();
    lab.reload(at(next.place()));
    eventually("b is up again", || !down(&lab));
    let _ = lab.finish();
}

#[test]
fn a_refused_reload_leaves_nothing_behind_and_says_the_cause_once() {
    let mut lab = two_guests().start();
    let fresh = format!("{}fresh", lab.prefix());
    let text = std::fs::read_to_string(lab.config()).unwrap();
    let port = |name: &str, host: u8, netns: &str| {
        format!(
            "ports:\n  - {{ name: {name}, subnet: net1, fixed_ips: [10.77.1.{host}], tap: {{ name: t-{name}, netns: {netns} }} }}\n"
        )
    };
    // What has the TAP's name is something else.
    let _ = lab
        .guest("b")
        .run("ip link add t-taken type veth peer name t-peer")
        .ok();
    let netns = lab.guest("b").netns().to_string();
    let new = port("fresh", 200, &fresh) + &port("taken", 201, &netns)[7..];
    let line = lab.reload_text(&text.replacen("ports:\n", &new, 1));
    assert!(line.contains("not reloaded"), "{line}");
    assert_eq!(line.matches("t-taken").count(), 1, "{line}");
    assert!(!Netns::named(&fresh).unwrap().exists());
    assert!(a_pings_b(&lab));
    let _ = lab.finish();
}

#[test]
fn a_tap_made_again_by_hand_is_set_up_by_a_reload() {
    let mut lab = two_guests().start();
    let b = lab.guest("b");
    let _ = b.run("ip link delete tap-b").ok();
    let port_is_down = |lab: &Lab| lab.show("ports").to_string().contains("\"up\":false");
    eventually("b is down", || port_is_down(&lab));
    let _ = b.run("ip tuntap add tap-b mode tap").ok();
    let _ = b.run("ip link set tap-b up").ok();
    lab.reload(|plan| plan);
    eventually("b is up again", || a_pings_b(&lab));
    let _ = lab.finish();
}

#[test]
fn a_device_that_is_no_tun_is_called_so() {
    let lab = two_guests().prepare();
    let script = "mount --bind /dev/null /dev/net/tun && exec \"$0\" run \"$1\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]);
    command
        .arg(vswitch())
        .arg(lab.config())
        .current_dir(lab.dir());
    let done = run(None, &mut command, "", PATIENCE);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(
        done.stderr.contains("/dev/net/tun is no TUN device"),
        "{}",
        done.stderr
    );
}

/// A copy of a delivered configuration whose socket, state and namespaces are a lab's own.
fn copy(lab: &Lab, delivered: &Path) -> String {
    let text = std::fs::read_to_string(delivered).unwrap();
    let dir = lab.dir().display();
    let mut copy = format!("control_socket: {dir}/control.sock\nstate_dir: {dir}/state\n");
    let kept =
        |line: &&str| !line.starts_with("control_socket:") && !line.starts_with("state_dir:");
    for line in text.lines().filter(kept) {
        copy.push_str(&line.replace("netns: ", &format!("netns: {}", lab.prefix())));
        copy.push('\n');
    }
    copy
}

#[test]
fn every_delivered_configuration_goes_up_runs_and_goes_down() {
    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("configs")).unwrap() {
        let delivered = entry.unwrap().path();
        // Its guests are the lab's; of a plan, only the folder and the daemon's own namespace are needed.
        let mut lab = Plan::new().prepare();
        let home = lab.namespace("home");
        let config = lab.dir().join("delivered.yaml");
        std::fs::write(&config, copy(&lab, &delivered)).unwrap();
        let ours = || {
            let entries = std::fs::read_dir("/run/netns").unwrap().flatten();
            let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
            names.filter(|name| name.starts_with(lab.prefix())).count()
        };
        let command = |arguments: &[&str]| -> Done {
            let mut command = Command::new(vswitch());
            command.args(arguments).arg(&config).current_dir(lab.dir());
            run(Some(&home), &mut command, "", PATIENCE)
        };
        let said = command(&["lab", "up"]).ok();
        assert!(said.contains("made     TAP") && ours() > 1, "{said}");
        let mut daemon = Daemon::start(lab.dir(), &config, Some(&home));
        assert!(daemon.stop(Signal::TERM).success(), "{}", daemon.log());
        let _ = command(&["lab", "down"]).ok();
        assert_eq!(ours(), 1, "{}: only home is left", delivered.display());
        // And what is missing `run` makes itself.
        let mut daemon = Daemon::start(lab.dir(), &config, Some(&home));
        assert!(daemon.stop(Signal::TERM).success(), "{}", daemon.log());
        assert_eq!(ours(), 1, "{}: only home is left", delivered.display());
        seen += 1;
    }
    assert!(seen >= 3, "the folder configs is where it was");
}
