//! What `check` accepts, `run` can start: each limit of the kernel's and of the program's own, at the last value
//! that passes, which starts, and at the first beyond it, which `check` refuses.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use netns_tests::{Plan, binary::vswitch, run};
use std::{
    fs,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tap::Netns;

/// How long a daemon may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sections of a file; NS is the name of a guest's namespace.
struct Case {
    what: &'static str,
    /// At the limit.
    passes: String,
    /// Beyond it; empty where there is no such thing.
    refused: String,
}

fn case(what: &'static str, passes: impl Into<String>, refused: impl Into<String>) -> Case {
    Case {
        what,
        passes: passes.into(),
        refused: refused.into(),
    }
}

/// A subnet with these keys and one port with those.
fn lab(subnet: &str, port: &str) -> String {
    format!("subnets: [{{ name: app, {subnet} }}]\nports: [{{ name: a, {port} }}]\n")
}

/// One port with these keys of its TAP.
fn with_tap(tap: &str) -> String {
    lab(
        "cidr: 10.77.1.0/24",
        &format!("fixed_ips: [10.77.1.11], tap: {{ {tap} }}"),
    )
}

/// One port, and further sections.
fn and(sections: &str) -> String {
    with_tap("name: t0, netns: NS") + sections
}

const V4: &str = "cidr: 10.77.1.0/24";
const IN_NS: &str = "tap: { name: t0, netns: NS }";

fn links() -> Vec<Case> {
    let mtu = |mtu: u32| {
        lab(
            &format!("{V4}, mtu: {mtu}"),
            &format!("fixed_ips: [10.77.1.11], {IN_NS}"),
        )
    };
    let mtu6 = |mtu: u32| {
        lab(
            &format!("{V4}, mtu: {mtu}"),
            &format!("fixed_ips: ['fd00::5'], {IN_NS}"),
        )
    };
    let name = |length: usize| with_tap(&format!("netns: NS, name: {}", "t".repeat(length)));
    vec![
        case(
            "the greatest MTU of a TAP, by its subnet",
            mtu(65_521),
            mtu(65_522),
        ),
        case("the least MTU of IPv4", mtu(68), mtu(67)),
        case(
            "the least MTU of IPv6, by its subnet",
            mtu6(1280),
            mtu6(1279),
        ),
        case("an interface's name", name(15), name(16)),
        case(
            "characters of a name",
            with_tap("netns: NS, name: '-a_b.c'"),
            with_tap("netns: NS, name: 'a:b'"),
        ),
        case("queues", and("workers: 256\n"), and("workers: 257\n")),
        case(
            "a source MAC",
            lab(
                &format!("{V4}, gateway_ip: 10.77.1.1"),
                "role: uplink, mac_address: '02:00:00:00:00:01'",
            ),
            lab(
                &format!("{V4}, gateway_ip: 10.77.1.1"),
                "role: uplink, mac_address: '03:00:00:00:00:01'",
            ),
        ),
        case(
            "a namespace under its older name",
            with_tap("name: t0, netns: /var/run/netns/NS"),
            "",
        ),
        case(
            "a container that is not there yet",
            with_tap("name: t0, netns: ./container"),
            "",
        ),
        case(
            "the daemon's own namespace",
            with_tap("name: t0, netns: /proc/self/ns/net"),
            "",
        ),
    ]
}

fn addresses() -> Vec<Case> {
    let v4 = |cidr: &str, ip: &str| {
        lab(
            &format!("cidr: {cidr}"),
            &format!("fixed_ips: [{ip}], {IN_NS}"),
        )
    };
    let gateway = |gateways: &str, ip: &str| {
        lab(
            &format!("{V4}, gateway_ip: [{gateways}]"),
            &format!("fixed_ips: [{ip}], {IN_NS}"),
        )
    };
    let router = |subnet: &str, ip: &str| {
        lab(
            subnet,
            &format!("fixed_ips: [{ip}], port_security_enabled: false, {IN_NS}"),
        )
    };
    vec![
        case(
            "both addresses of a /31",
            v4("10.77.1.0/31", "10.77.1.0"),
            v4("10.77.1.0/30", "10.77.1.0"),
        ),
        case(
            "the only address of a /32",
            v4("10.77.1.9/32", "10.77.1.9"),
            v4("10.77.1.9/32", "10.77.1.8"),
        ),
        case(
            "the last address",
            v4("10.77.1.0/24", "10.77.1.254"),
            v4("10.77.1.0/24", "10.77.1.255"),
        ),
        case(
            "beside loopback",
            v4("126.0.0.0/7", "126.0.0.1"),
            v4("126.0.0.0/7", "127.0.0.1"),
        ),
        case(
            "beside multicast",
            v4("223.0.0.0/8", "223.1.1.1"),
            v4("224.0.0.0/8", "224.1.1.1"),
        ),
        case(
            "of IPv6",
            gateway("10.77.1.1", "'fd00::5', 10.77.1.5"),
            gateway("10.77.1.1", "'ff02::5'"),
        ),
        case(
            "a gateway of IPv6",
            gateway("'fd00::1'", "'fd00::5'"),
            gateway("'fd01::1'", "'fd00::5'"),
        ),
        case(
            "a link-local gateway",
            gateway("'fe80::1'", "'fd00::5'"),
            "",
        ),
        case(
            "a guest that is the gateway",
            router(&format!("{V4}, gateway_ip: 10.77.1.1"), "10.77.1.1"),
            "",
        ),
        case(
            "a guest that is the gateway of IPv6",
            router("cidr6: 'fd00::/64', gateway_ip: 'fd00::1'", "'fd00::1'"),
            lab(
                "cidr6: 'fd00::/64', gateway_ip: 'fd00::1'",
                "fixed_ips: ['fd00::1']",
            ),
        ),
    ]
}

fn host() -> Vec<Case> {
    let socket = |path: &str, state: &str| {
        with_tap("name: t0, netns: NS") + &format!("control_socket: {path}\nstate_dir: {state}\n")
    };
    let of_length = |length: usize| socket(&format!("./{}", "s".repeat(length - 2)), "./state");
    let store = |endpoint: &str, style: bool| {
        and(&format!(
            "flowlog_loggers: [{{ name: l, storage_type: OBS, storage_url: 's3://logs' }}]\n\
             object_storage: {{ endpoint: '{endpoint}', path_style: {style}, access_key_env: A, secret_key_env: B }}\n"
        ))
    };
    let folder = |length: usize| {
        and(&format!(
            "flowlog_loggers: [{{ name: l, storage_url: './{}' }}]\n",
            "d".repeat(length)
        ))
    };
    vec![
        case("a socket's path", of_length(99), of_length(100)),
        case(
            "a socket in a folder",
            socket("./new/c.sock", "./state"),
            socket("./new/", "./state"),
        ),
        case(
            "a socket beside the spool",
            socket("./state/c.sock", "./state"),
            socket("./state/spool", "./state"),
        ),
        case(
            "a socket beside the state",
            socket("./c.sock", "./c.sock.d"),
            socket("./c.sock", "./c.sock/d"),
        ),
        case(
            "a bucket in the path",
            store("http://127.0.0.1:1", true),
            store("http://127.0.0.1:1", false),
        ),
        case(
            "a bucket in the host name",
            store("http://store.invalid", false),
            store("http://[::1]:1", false),
        ),
        case("a folder's name", folder(255), folder(256)),
        case(
            "connections",
            and("conntrack: { limit: 16777216 }\n"),
            and("conntrack: { limit: 16777217 }\n"),
        ),
    ]
}

#[test]
fn interfaces_that_check_accepts_are_made() {
    run_all(&links());
}

#[test]
fn addresses_and_routes_that_check_accepts_are_set() {
    run_all(&addresses());
}

#[test]
fn paths_stores_and_limits_that_check_accepts_are_had() {
    run_all(&host());
}

#[test]
fn rules_that_no_policy_can_be_made_of_are_refused_by_both_with_group_and_port() {
    let mut text = "ports: [{ name: a, fixed_ips: [10.77.1.11], security_groups: [small, big] }]\n\
                    security_groups:\n  - { name: small, rules: [] }\n  - name: big\n    rules:\n"
        .to_owned();
    for first in 1..=40_000 {
        let last = first + 25_535;
        text += &format!(
            "      - {{ direction: ingress, protocol: tcp, port_range_min: {first}, port_range_max: {last} }}\n"
        );
    }
    let dir = tempfile::tempdir().unwrap();
    for (command, code) in [("check", 2), ("run", 1)] {
        fs::write(dir.path().join("lab.yaml"), &text).unwrap();
        let mut vswitch = Command::new(vswitch());
        vswitch.args([
            command,
            "lab.yaml",
            "--control-socket",
            "./c",
            "--state-dir",
            "./s",
        ]);
        let done = run(None, vswitch.current_dir(dir.path()), "", PATIENCE * 3);
        let said = done.stdout + &done.stderr;
        assert_eq!(done.code, Some(code), "{command}: {said}");
        assert!(
            said.contains("`big`") && said.contains("port `a`"),
            "{command}: {said}"
        );
    }
}

fn run_all(cases: &[Case]) {
    let mut lab = Plan::new().prepare();
    let (home, guest) = (lab.namespace("home"), lab.namespace("g"));
    let name = guest
        .path()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let mut wrong = Vec::new();
    for Case {
        what,
        passes,
        refused,
    } in cases
    {
        let mut expect = |text: &str, code: i32| {
            if !text.is_empty()
                && let Err(said) = try_out(&text.replace("NS", &name), code, &home)
            {
                wrong.push(format!("{what}:\n{text}{said}"));
            }
        };
        expect(passes, 0);
        expect(refused, 2);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether `check` says what it should of a file, and `run` starts what it accepts.
fn try_out(text: &str, code: i32, home: &Netns) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut text = text.to_owned();
    if !text.contains("control_socket:") {
        text += "control_socket: ./c.sock\nstate_dir: ./state\n";
    }
    fs::write(dir.join("lab.yaml"), &text).unwrap();
    let mut check = Command::new(vswitch());
    check.args(["check", "lab.yaml"]).current_dir(dir);
    let checked = run(None, &mut check, "", PATIENCE);
    if checked.code != Some(code) {
        return Err(format!(
            "check exited with {:?}: {}",
            checked.code, checked.stderr
        ));
    }
    if code != 0 {
        return Ok(());
    }
    let log = fs::File::create(dir.join("log")).unwrap();
    let mut daemon = Command::new(vswitch());
    daemon
        .args(["run", "lab.yaml"])
        .current_dir(dir)
        .envs([("A", "key"), ("B", "secret")])
        .stdin(Stdio::null())
        .stderr(log);
    let daemon = home.run_in(|| daemon.spawn()).unwrap().unwrap();
    let said = || fs::read_to_string(dir.join("log")).unwrap_or_default();
    started_and_stopped(daemon, || said().contains("forwarding"))
        .map_err(|what| format!("run {what}: {}", said()))
}

fn started_and_stopped(mut daemon: Child, forwards: impl Fn() -> bool) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    while !forwards() {
        if let Some(status) = daemon.try_wait().unwrap() {
            return Err(format!("ended with {status}"));
        }
        if Instant::now() > deadline {
            let _ = daemon.kill();
            let _ = daemon.wait();
            return Err("did not start".to_owned());
        }
        thread::sleep(Duration::from_millis(10));
    }
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&daemon),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    let ended = daemon.wait().unwrap();
    ended
        .success()
        .then_some(())
        .ok_or_else(|| format!("ended with {ended}"))
}
