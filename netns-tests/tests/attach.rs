//! What `docs/attach.md` tells: guests that are no plain namespace.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use netns_tests::{
    Container, Guest, Plan, carries,
    rules::{ping_in, tcp_in},
    run,
    vm::{Vm, VmPlan},
};
use std::{process::Command, time::Duration};
use tap::Netns;

const BOOT: Duration = Duration::from_secs(120);

fn sh(netns: &Netns, script: &str) {
    let mut command = Command::new("sh");
    let done = run(
        Some(netns),
        command.args(["-ec", script]),
        "",
        Duration::from_secs(10),
    );
    let _ = done.ok();
}

#[test]
fn a_container_is_attached_by_the_namespace_of_its_process() {
    let container = Container::start();
    let place = container.place();
    let plan = Plan::new()
        .group("web", &[ping_in(), tcp_in(80)])
        .guest("a", &["out"])
        .guest("c", &["web"]);
    let mut lab = plan
        .change("c", |port| port.place = Some(place.clone()))
        .start();
    let (a, c) = lab.pair("a", "c");
    assert!(a.pings(c.ip(), 3, 56));
    let (mut client, mut server) = a.connect(c, 80);
    assert!(carries(&mut client, &mut server, 1 << 20));
    let records = lab.finish();
    assert!(
        records.lines().contains("c ingress tcp a>c:80 ACCEPT"),
        "{:?}",
        records.lines()
    );
}

/// Joins the switch's TAP of `guest` with `other` in the daemon's namespace. That TAP bears a MAC of
/// its own: a bridge keeps frames for its own ports' MACs.
fn bridge(guest: &Guest, other: &str) {
    let tap = guest.port().tap();
    sh(
        guest.netns(),
        &format!(
            "ip link add br0 type bridge
             ip link set {tap} master br0 up
             ip link set {other} master br0 up
             ip link set br0 up"
        ),
    );
}

#[test]
fn a_host_bridge_joins_the_switch_with_what_has_an_interface() {
    let plan = Plan::new().group("web", &[tcp_in(80)]).guest("a", &["out"]);
    let plan = plan
        .guest("v", &["web"])
        .change("v", |port| port.at_home = true);
    let mut lab = plan.start();
    let behind = lab.namespace("behind");
    let (a, v) = lab.pair("a", "v");
    let (ip, mac) = (v.ip(), v.port().mac());
    sh(
        v.netns(),
        &format!("ip link add veth0 type veth peer name eth0 netns {behind}"),
    );
    sh(
        &behind,
        &format!("ip link set eth0 address {mac} up; ip address add {ip}/24 dev eth0"),
    );
    bridge(v, "veth0");
    let listener = behind
        .run_in(|| std::net::TcpListener::bind((ip, 80)).unwrap())
        .unwrap();
    let mut client = a.connect_within((ip, 80), Duration::from_secs(5)).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    assert!(carries(&mut client, &mut server, 1 << 20));
    assert!(carries(&mut server, &mut client, 1 << 20));
    lab.finish().are(&[
        "a egress tcp a>v:80 ACCEPT",
        "v ingress tcp a>v:80 ACCEPT",
        "v egress tcp v:80>a ACCEPT",
        "a ingress tcp v:80>a ACCEPT",
    ]);
}

#[test]
fn a_virtual_machine_is_judged_and_recorded_like_any_guest() {
    let plan = Plan::new()
        .group("machine", &[ping_in(), tcp_in(80)])
        .group("server", &[tcp_in(80)]);
    let plan = plan
        .guest("a", &["server"])
        .guest("vm", &["machine"])
        .change("vm", |port| port.at_home = true);
    let mut lab = plan.start();
    let (a, vm) = lab.pair("a", "vm");
    let (here, there) = (a.ip(), vm.ip());
    // 80 answers, 81 is refused at a, and the machine says what it found.
    let init = format!(
        "ip address add {there}/24 dev eth0; ip link set eth0 up
         nc -w 5 {here} 80 </dev/null && echo RESULT allowed
         nc -w 2 {here} 81 </dev/null || echo RESULT refused
         echo RESULT ready"
    );
    sh(vm.netns(), "ip tuntap add dev qemu0 mode tap");
    bridge(vm, "qemu0");
    let machine = VmPlan {
        tap: "qemu0",
        mac: vm.port().mac(),
        init: &init,
    };
    let Some(machine) = Vm::start(vm.netns(), lab.dir(), &machine) else {
        eprintln!("left out: no QEMU, or no kernel for it");
        return;
    };
    let listener = a.listen(80);
    // Closed at once, so that the machine's nc ends.
    let serving = std::thread::spawn(move || drop(listener.accept()));
    machine.wait_for("RESULT ready", BOOT);
    let said = machine.console();
    assert!(
        said.contains("RESULT allowed") && said.contains("RESULT refused"),
        "{said}"
    );
    serving.join().unwrap();
    assert!(a.pings(there, 3, 56));
    drop(machine);
    lab.finish().are(&[
        "vm egress tcp vm>a:80 ACCEPT",
        "a ingress tcp vm>a:80 ACCEPT",
        "a egress tcp a:80>vm ACCEPT",
        "vm ingress tcp a:80>vm ACCEPT",
        "vm egress tcp vm>a:81 ACCEPT",
        "a ingress tcp vm>a:81 DROP",
        "a egress icmp a>vm ACCEPT",
        "vm ingress icmp a>vm ACCEPT",
        "vm egress icmp vm>a ACCEPT",
        "a ingress icmp vm>a ACCEPT",
    ]);
}
