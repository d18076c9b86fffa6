//! Labs of real namespaces and TAPs, which are gone again afterwards. Without root these tests say
//! so and pass.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use flowlog::Access;
use packet::Mac;
use std::{
    net::{IpAddr, Ipv4Addr, UdpSocket},
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};
use tap::{Links, Netns, Tap, TapOptions};
use vswitch::lab::{Lab, LabError, LabPort, Made, Removed, RunLock, Thing};

#[test]
fn up_makes_guests_that_stay_and_down_removes_exactly_them() {
    let Some(scene) = Scene::new() else { return };
    let report = scene.lab.up(&scene.ports).unwrap();
    assert_eq!(report.made.len(), 4, "{report:?}");
    for port in &scene.ports {
        let link = scene.links(port).get(&port.tap).unwrap();
        assert_eq!((link.mac, link.mtu, link.up), (port.mac, 1450, true));
        assert!(link.tap.unwrap().persistent);
        let bound = scene
            .netns(port)
            .run_in(|| UdpSocket::bind((port.addresses[0].addr(), 0)).is_ok());
        assert!(bound.unwrap());
    }
    assert_eq!(scene.lab.down(false).unwrap().removed.len(), 4);
    assert!(scene.ports.iter().all(|port| !scene.netns(port).exists()));
    scene.assert_nothing_remembered();
}

#[test]
fn up_and_down_can_be_done_twice() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    scene.lab.up(&scene.ports).unwrap();
    scene.ports[0].mtu = 1400;
    let again = scene.lab.up(&scene.ports).unwrap();
    assert_eq!((again.made.len(), again.existed.len()), (0, 4));
    let mtu = scene
        .links(&scene.ports[0])
        .get(&scene.ports[0].tap)
        .unwrap()
        .mtu;
    assert_eq!(mtu, 1400, "what the lab made follows the configuration");
    assert_eq!(scene.lab.down(false).unwrap().removed.len(), 4);
    assert_eq!(scene.lab.down(false).unwrap(), Removed::default());
}

#[test]
fn what_was_there_before_is_used_and_stays() {
    let Some(scene) = Scene::new() else { return };
    let first = scene.netns(&scene.ports[0]);
    first.create().unwrap();
    let report = scene.lab.up(&scene.ports).unwrap();
    assert_eq!((report.made.len(), report.existed.len()), (3, 1));
    scene.lab.down(false).unwrap();
    assert!(first.exists());
    assert_eq!(
        scene
            .links(&scene.ports[0])
            .find(&scene.ports[0].tap)
            .unwrap(),
        None
    );
}

#[test]
fn what_was_made_since_under_the_same_name_is_somebody_elses() {
    let Some(scene) = Scene::new() else { return };
    scene.lab.up(&scene.ports).unwrap();
    let first = scene.netns(&scene.ports[0]);
    let made = first.inode();
    first.delete().unwrap();
    // The number of a deleted namespace may be given out again: hold another until it differs.
    let spare = Netns::named(&format!("{first}-spare")).unwrap();
    spare.create().unwrap();
    first.create().unwrap();
    let differs = first.inode() != made;
    let removed = scene.lab.down(false).unwrap();
    spare.delete().unwrap();
    assert_eq!(first.exists(), differs, "{removed:?}");
    let _ = first.delete();
}

#[test]
fn a_run_removes_what_was_missing_when_it_ends_and_attaches_to_what_is_there() {
    let Some(scene) = Scene::new() else { return };
    let (made, taps) = scene.ensure(2).unwrap();
    let counts: Vec<_> = taps.iter().map(|tap| tap.queues().len()).collect();
    assert_eq!(counts, [2, 2]);
    drop((made, taps));
    assert!(scene.ports.iter().all(|port| !scene.netns(port).exists()));

    scene.lab.up(&scene.ports).unwrap();
    let (made, taps) = scene.ensure(1).unwrap();
    assert!(taps.iter().all(|tap| !tap.was_created()));
    drop((made, taps));
    let link = scene
        .links(&scene.ports[0])
        .get(&scene.ports[0].tap)
        .unwrap();
    assert!(link.tap.unwrap().persistent, "guests outlive the daemon");
    scene.lab.down(false).unwrap();
}

#[test]
fn what_a_killed_run_left_behind_goes_with_the_next() {
    let Some(scene) = Scene::new() else { return };
    let (made, taps) = scene.ensure(1).unwrap();
    drop(taps);
    std::mem::forget(made);
    assert!(scene.netns(&scene.ports[0]).exists());
    drop(scene.ensure(1).unwrap());
    assert!(!scene.netns(&scene.ports[0]).exists());
}

#[test]
fn a_failure_names_the_port_and_a_run_leaves_nothing_behind() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    scene.ports[1].tap = "lo".into();
    let error = scene.ensure(1).unwrap_err();
    assert!(
        error.to_string().starts_with("port `b`: interface `lo`"),
        "{error}"
    );
    assert!(scene.ports.iter().all(|port| !scene.netns(port).exists()));
    scene.assert_nothing_remembered();
}

#[test]
fn in_the_daemons_namespace_an_uplink_gets_its_gateway_address_and_a_guests_tap_waits_unconfigured()
{
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let daemons = scene.netns(&scene.ports[0]);
    daemons.create().unwrap();
    for port in &mut scene.ports {
        port.netns = None;
    }
    scene.ports[0].uplink = true;
    let (made, taps) = daemons.run_in(|| scene.ensure(1)).unwrap().unwrap();
    let mut links = Links::open(Some(&daemons)).unwrap();
    let [uplink, guest] = ["tap-a", "tap-b"].map(|tap| links.get(tap).unwrap());
    assert!(uplink.up && !guest.up);
    assert_ne!(
        guest.mac, scene.ports[1].mac,
        "a bridge would keep the guest's frames for the host"
    );
    let (bound, routed) = daemons
        .run_in(|| {
            let routed = UdpSocket::bind("0.0.0.0:0").unwrap().connect("192.0.2.1:9");
            (UdpSocket::bind("10.77.1.11:0"), routed)
        })
        .unwrap();
    assert!(bound.is_ok());
    assert!(
        routed.is_err(),
        "the host's default route is not the lab's to set"
    );
    drop((made, taps));
    daemons.delete().unwrap();
}

#[test]
fn a_ledger_of_another_boot_is_empty_and_a_broken_one_is_explained() {
    let state_dir = tempfile::tempdir().unwrap();
    let lab = Lab::new(state_dir.path(), "old", Access::default());
    let file = state_dir.path().join("lab-old.up.json");
    std::fs::write(
        &file,
        r#"{"boot_id":"x","made":[{"kind":"netns","name":"any","inode":1}]}"#,
    )
    .unwrap();
    assert_eq!(lab.down(false).unwrap(), Removed::default());
    std::fs::write(&file, "{").unwrap();
    let error = lab.down(false).unwrap_err().to_string();
    assert!(error.contains("lab-old.up.json"), "{error}");
}

#[test]
fn a_namespace_with_a_tap_of_another_lab_stays_until_that_has_gone() {
    let Some(scene) = Scene::new() else { return };
    let (other, port) = scene.neighbour();
    scene.lab.up(&scene.ports).unwrap();
    other.up(&[port]).unwrap();
    let done = scene.lab.down(false).unwrap();
    assert_eq!(done.removed.len(), 3, "{done:?}");
    let [(Thing::Netns { .. }, tap)] = &done.left[..] else {
        panic!("{done:?}")
    };
    assert_eq!(tap, "tap-other");
    let taps = scene.links(&scene.ports[0]).taps().unwrap();
    assert!(
        matches!(&taps[..], [(tap, _)] if tap == "tap-other"),
        "{taps:?}"
    );
    assert_eq!(other.down(false).unwrap().removed.len(), 1);
    assert_eq!(scene.lab.down(false).unwrap().removed.len(), 1);
    assert!(!scene.netns(&scene.ports[0]).exists());
}

#[test]
fn what_cannot_be_remembered_is_not_made() {
    let Some(scene) = Scene::new() else { return };
    let in_the_way = scene.state_dir.path().join("lab-test_yaml.up.tmp");
    std::fs::create_dir(&in_the_way).unwrap();
    let error = scene.lab.up(&scene.ports).unwrap_err();
    assert!(matches!(error, LabError::Ledger { .. }), "{error}");
    assert!(scene.ports.iter().all(|port| !scene.netns(port).exists()));

    let first = scene.netns(&scene.ports[0]);
    first.create().unwrap();
    scene.lab.up(&scene.ports).unwrap_err();
    assert_eq!(scene.links(&scene.ports[0]).taps().unwrap(), []);
}

#[test]
fn a_tap_made_by_hand_in_a_guest_gets_what_it_lacks_and_keeps_its_route() {
    let Some(scene) = Scene::new() else { return };
    let port = &scene.ports[0];
    let netns = scene.netns(port);
    netns.create().unwrap();
    let by_hand = TapOptions {
        netns: Some(netns.clone()),
        persistent: true,
        multi_queue: true,
        ..TapOptions::new(&port.tap)
    };
    drop(Tap::open(&by_hand).unwrap());
    let mut links = scene.links(port);
    links.set_up(&port.tap, true).unwrap();
    links
        .add_address(&port.tap, [10, 77, 1, 99].into(), 24)
        .unwrap();
    links
        .set_default_route(&port.tap, [10, 77, 1, 98].into())
        .unwrap();
    let opened = scene.ensure(1).unwrap();
    let link = links.get(&port.tap).unwrap();
    assert_eq!((link.mac, link.mtu, link.up), (port.mac, 1450, true));
    let (bound, routes) = netns
        .run_in(|| {
            let bound = UdpSocket::bind((port.addresses[0].addr(), 0)).is_ok();
            let routes = std::fs::read_to_string("/proc/thread-self/net/route");
            (bound, routes.unwrap())
        })
        .unwrap();
    assert!(bound);
    assert!(
        routes.contains("62014D0A") && !routes.contains("01014D0A"),
        "{routes}"
    );
    drop(opened);
    assert_eq!(links.taps().unwrap().len(), 1, "it was not ours");
}

#[test]
fn ports_that_come_later_come_all_or_none() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let late = scene.ports.split_off(1);
    let (mut made, _taps) = scene.ensure(1).unwrap();
    let broken = LabPort {
        tap: "lo".into(),
        netns: scene.ports[0].netns.clone(),
        ..late[0].clone()
    };
    made.add(&[late[0].clone(), broken], 1).unwrap_err();
    assert!(!scene.netns(&late[0]).exists());
    assert!(scene.netns(&scene.ports[0]).exists());
    made.add(&late, 1).unwrap();
    scene.ports.extend(late);
    drop(made);
    assert!(scene.ports.iter().all(|port| !scene.netns(port).exists()));
}

#[test]
fn a_namespace_made_anew_under_its_name_is_not_the_one_a_tap_was_opened_in() {
    let Some(scene) = Scene::new() else { return };
    let (mut made, _taps) = scene.ensure(1).unwrap();
    assert!(scene.ports.iter().all(|port| made.is_in_place(port)));
    let first = scene.netns(&scene.ports[0]);
    first.delete().unwrap();
    assert!(!made.is_in_place(&scene.ports[0]));
    first.create().unwrap();
    assert!(!made.is_in_place(&scene.ports[0]));
    made.add(&scene.ports[..1], 1).unwrap();
    assert!(made.is_in_place(&scene.ports[0]));
}

#[test]
fn a_guest_without_ipv6_is_attached_by_its_ipv4_addresses_and_what_it_lacks_is_told() {
    let Some(scene) = Scene::new() else { return };
    let port = &scene.ports[0];
    scene.netns(port).create().unwrap();
    scene.set(port, "ipv6/conf/all/disable_ipv6", "1");
    let (mut made, _taps) = scene.ensure(1).unwrap();
    assert!(scene.has(port, "10.77.1.11"));
    let [lack] = made.lacks(port) else {
        panic!("{:?}", made.lacks(port));
    };
    assert_eq!(lack.what, "address fd77::11/64");
    assert!(
        lack.why.contains("IPv6 is disabled on interface `tap-a`"),
        "{lack}"
    );
    assert_eq!(made.lacks(&scene.ports[1]), []);

    scene.set(port, "ipv6/conf/all/disable_ipv6", "0");
    assert_eq!(made.change(&scene.ports, &scene.ports), ["a"]);
    assert_eq!(made.lacks(port), []);
    assert!(scene.has(port, "fd77::11"));
    // Nothing is amiss: nothing to do.
    assert!(made.change(&scene.ports, &scene.ports).is_empty());
}

#[test]
fn an_mtu_below_ipv6s_least_is_told_as_what_keeps_the_address_away() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    scene.ports[0].mtu = 1000;
    let (made, _taps) = scene.ensure(1).unwrap();
    let lacks = made.lacks(&scene.ports[0]);
    assert!(
        lacks.len() == 1 && lacks[0].why.contains("1280"),
        "{lacks:?}"
    );
    assert!(scene.has(&scene.ports[0], "10.77.1.11"));
}

#[test]
fn a_changed_port_changes_its_interface_be_it_up_or_down() {
    let Some(scene) = Scene::new() else { return };
    let (mut made, _taps) = scene.ensure(1).unwrap();
    for (last, up) in [(21, true), (31, false)] {
        let old = if up {
            scene.ports.clone()
        } else {
            changed(&scene.ports, 21)
        };
        let new = changed(&scene.ports, last);
        let (port, before) = (&new[0], &old[0]);
        scene.links(port).set_up(&port.tap, up).unwrap();
        assert_eq!(made.change(&old, &new), ["a"]);
        assert_eq!(made.lacks(port), []);
        let link = scene.links(port).get(&port.tap).unwrap();
        assert_eq!((link.mac, link.mtu, link.up), (port.mac, port.mtu, true));
        for (old, new) in before.addresses.iter().zip(&port.addresses) {
            assert!(!scene.has(port, &old.addr().to_string()), "{old}");
            assert!(scene.has(port, &new.addr().to_string()), "{new}");
        }
        assert_eq!(scene.gateway(port), Some("10.77.1.2".parse().unwrap()));
    }
    let mut without = changed(&scene.ports, 31);
    without[0].gateways.clear();
    made.change(&changed(&scene.ports, 31), &without);
    assert_eq!(scene.gateway(&without[0]), None);
}

/// The first port with another of everything that its interface shows.
fn changed(ports: &[LabPort], last: u8) -> Vec<LabPort> {
    let mut ports = ports.to_vec();
    ports[0].mac = Mac([0xfa, 0x16, 0x3e, 0, 1, last]);
    ports[0].mtu = 9000 + u32::from(last);
    ports[0].addresses = vec![
        format!("10.77.1.{last}/24").parse().unwrap(),
        format!("fd77::{last}/64").parse().unwrap(),
    ];
    ports[0].gateways = vec![IpAddr::from([10, 77, 1, 2])];
    ports
}

#[test]
fn a_part_that_cannot_be_changed_is_told_and_tried_again() {
    let Some(scene) = Scene::new() else { return };
    let (mut made, _taps) = scene.ensure(1).unwrap();
    let mut new = scene.ports.clone();
    new[0].mtu = 70_000;
    new[0].mac = Mac([1, 0, 0x5e, 0, 0, 1]);
    for old in [&scene.ports, &new] {
        assert_eq!(made.change(old, &new), ["a"]);
        let lacks = made.lacks(&new[0]);
        assert!(
            lacks.iter().any(|lack| lack.what == "MTU 70000"),
            "{lacks:?}"
        );
        assert!(
            lacks.iter().any(|lack| lack.what.starts_with("MAC ")),
            "{lacks:?}"
        );
    }
    made.change(&new, &scene.ports);
    assert_eq!(made.lacks(&new[0]), []);
}

#[test]
fn up_takes_away_what_the_configuration_does_not_say_any_more_and_nothing_else() {
    let Some(scene) = Scene::new() else { return };
    scene.lab.up(&scene.ports).unwrap();
    let by_hand = "10.77.1.99";
    scene
        .links(&scene.ports[0])
        .add_address("tap-a", by_hand.parse().unwrap(), 24)
        .unwrap();
    let mut new = changed(&scene.ports, 21);
    new.truncate(1);
    new[0].gateways.clear();
    let report = scene.lab.up(&new).unwrap();
    assert_eq!(report.retired.removed.len(), 2, "{report:?}");
    assert!(!scene.netns(&scene.ports[1]).exists());
    for (address, there) in [
        ("10.77.1.11", false),
        ("fd77::11", false),
        ("10.77.1.21", true),
        ("fd77::21", true),
        (by_hand, true),
    ] {
        assert_eq!(scene.has(&new[0], address), there, "{address}");
    }
    assert_eq!(scene.gateway(&new[0]), None);
    assert_eq!(scene.lab.down(false).unwrap().removed.len(), 2);
    scene.assert_nothing_remembered();
}

#[test]
fn a_lab_that_a_daemon_serves_does_not_go_down_unless_it_is_forced() {
    let Some(scene) = Scene::new() else { return };
    scene.lab.up(&scene.ports).unwrap();
    let (made, taps) = scene.ensure(1).unwrap();
    let error = scene.lab.down(false).unwrap_err();
    assert!(matches!(error, LabError::Running(_)), "{error}");
    assert!(error.to_string().contains("--force"), "{error}");
    // Nor does `up` take a TAP from it that the configuration has lost.
    let report = scene.lab.up(&scene.ports[..1]).unwrap();
    assert_eq!(
        (report.retired.removed.len(), report.retired.left.len()),
        (0, 2)
    );
    assert!(
        scene
            .links(&scene.ports[1])
            .find("tap-b")
            .unwrap()
            .is_some()
    );
    drop((made, taps));
    scene.lab.up(&scene.ports[..1]).unwrap();
    assert!(!scene.netns(&scene.ports[1]).exists());

    let opened = scene.lab.ensure(&scene.lock, &scene.ports[..1], 1).unwrap();
    assert_eq!(scene.lab.down(true).unwrap().removed.len(), 2);
    drop(opened);
}

/// Two guests, and a state directory.
struct Scene {
    lab: Lab,
    ports: Vec<LabPort>,
    lock: RunLock,
    state_dir: tempfile::TempDir,
}

impl Scene {
    /// The state directory holds the lock of the run and no ledger.
    fn assert_nothing_remembered(&self) {
        let entries = std::fs::read_dir(self.state_dir.path()).unwrap();
        let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["lock"]);
    }

    fn new() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: namespaces and TAPs need root");
            return None;
        }
        let tag = format!(
            "labtest-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let state_dir = tempfile::tempdir().unwrap();
        let port = |name: &str, last: u8| LabPort {
            name: name.into(),
            tap: format!("tap-{name}"),
            netns: Some(format!("{tag}-{name}")),
            mac: Mac([0xfa, 0x16, 0x3e, 0, 0, last]),
            addresses: vec![
                format!("10.77.1.{last}/24").parse().unwrap(),
                format!("fd77::{last}/64").parse().unwrap(),
            ],
            gateways: vec![IpAddr::from([10, 77, 1, 1])],
            mtu: 1450,
            uplink: false,
            threaded: false,
        };
        let ports = vec![port("a", 11), port("b", 12)];
        Some(Self {
            lab: Lab::new(Path::new(state_dir.path()), "test.yaml", Access::default()),
            ports,
            lock: RunLock::take(state_dir.path(), Access::default()).unwrap(),
            state_dir,
        })
    }

    fn ensure(&self, queues: usize) -> Result<(Made, Vec<Tap>), LabError> {
        self.lab.ensure(&self.lock, &self.ports, queues)
    }

    /// A lab of the first guest alone, under a TAP of its own.
    fn neighbour(&self) -> (Lab, LabPort) {
        let port = LabPort {
            tap: "tap-other".into(),
            ..self.ports[0].clone()
        };
        (
            Lab::new(self.state_dir.path(), "other", Access::default()),
            port,
        )
    }

    /// Whether the guest has an address.
    fn has(&self, port: &LabPort, address: &str) -> bool {
        let address: IpAddr = address.parse().unwrap();
        let bound = || UdpSocket::bind((address, 0)).is_ok();
        self.netns(port).run_in(bound).unwrap()
    }

    /// The gateway of the guest's IPv4 default route.
    fn gateway(&self, port: &LabPort) -> Option<Ipv4Addr> {
        let read = || std::fs::read_to_string("/proc/thread-self/net/route").unwrap();
        let table = self.netns(port).run_in(read).unwrap();
        table.lines().find_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let gateway = u32::from_str_radix(fields.get(2)?, 16).ok()?;
            (fields[1] == "00000000").then(|| Ipv4Addr::from(gateway.to_le_bytes()))
        })
    }

    /// Writes a setting of the guest's kernel.
    fn set(&self, port: &LabPort, key: &str, value: &str) {
        let write = || std::fs::write(format!("/proc/sys/net/{key}"), value).unwrap();
        self.netns(port).run_in(write).unwrap();
    }

    fn netns(&self, port: &LabPort) -> Netns {
        Netns::named(port.netns.as_deref().unwrap()).unwrap()
    }

    fn links(&self, port: &LabPort) -> Links {
        Links::open(Some(&self.netns(port))).unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.lab.down(true);
        for name in self.ports.iter().filter_map(|port| port.netns.as_deref()) {
            let _ = Netns::named(name).unwrap().delete();
        }
    }
}
