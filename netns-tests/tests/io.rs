//! Whatever way frames are read and written, and by however many workers: the same switch. Where
//! io_uring is forbidden, its tests say so and pass.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use netns_tests::{
    Guest, Lab, Plan, carries, eventually,
    rules::{any_in, tcp_in, udp_in},
};
use packet::build::fragments;
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};
use tap::{Links, PacketMode};

/// The same tests for each way.
macro_rules! each_way {
    ($($test:ident),* $(,)?) => {
        each_way!(@ read_write_by_one_worker, "read_write", 1, [$($test),*]);
        each_way!(@ read_write_by_two_workers, "read_write", 2, [$($test),*]);
        each_way!(@ io_uring_by_one_worker, "io_uring", 1, [$($test),*]);
        each_way!(@ io_uring_by_two_workers, "io_uring", 2, [$($test),*]);
    };
    (@ $way:ident, $io:literal, $workers:literal, [$($test:ident),*]) => {
        mod $way {
            $(
                #[test]
                fn $test() {
                    if let Some(plan) = super::plan($io, $workers) {
                        super::$test(plan);
                    }
                }
            )*
        }
    };
}

each_way!(
    packets_arrive_whole_and_are_counted,
    fragments_that_waited_are_sent_behind_their_first,
    large_streams_arrive_whole_in_both_directions_at_once,
    a_flood_leaves_the_others_their_turn,
    a_tap_that_vanished_is_served_again_after_a_reload,
    the_audit_holds_while_packets_go_on,
    a_daemon_that_was_killed_is_followed_by_another,
    a_stop_under_load_is_clean_and_what_was_accepted_is_recorded,
    a_guest_whose_stack_is_slow_gets_a_thread_and_its_losses_are_its_own,
    a_slow_guest_without_a_thread_has_its_share_of_a_worker_and_no_more,
    a_tap_with_a_thread_from_the_start_carries_streams_both_ways,
);

fn plan(io: &str, workers: u32) -> Option<Plan> {
    if io == "io_uring"
        && let Err(error) = tap::Ring::probe()
    {
        eprintln!("skipped: {error}");
        return None;
    }
    let plan = Plan::new().top(&format!("io: {io}\nworkers: {workers}"));
    Some(plan.group("open", &[any_in()]))
}

fn packets_arrive_whole_and_are_counted(plan: Plan) {
    let plan = plan.group("five", &[udp_in(5000)]);
    let mut lab = plan.guest("a", &["open"]).guest("b", &["five"]).start();
    let (a, b) = lab.pair("a", "b");
    assert!(b.pings(a.ip(), 3, 1400), "an answer and its request");
    let (client, server) = (a.udp(4000), b.udp(5000));
    let mut buffer = [0; 2048];
    for number in 0..100_u32 {
        let datagram: Vec<u8> = (0..1 + number * 13)
            .map(|byte| (byte ^ number) as u8)
            .collect();
        client.send_to(&datagram, (b.ip(), 5000)).unwrap();
        let len = server.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..len], datagram);
    }
    let records = lab.finish();
    assert_eq!(records.packets("b ingress udp a:4000>b:5000 ACCEPT"), 100);
    assert_eq!(records.packets("a egress udp a:4000>b:5000 ACCEPT"), 100);
}

fn fragments_that_waited_are_sent_behind_their_first(plan: Plan) {
    let mut lab = plan.guest("a", &["open"]).guest("b", &["open"]).start();
    let (a, b) = lab.pair("a", "b");
    b.knows(&[a]);
    let payload: Vec<u8> = (0..8000).map(|byte| (byte * 31 % 251) as u8).collect();
    let server = b.udp(5000);
    let datagram = a.packet(b).udp(4000, 5000).payload(&payload).build();
    for id in 1..20 {
        for piece in fragments(&datagram, 1480, id).iter().rev() {
            a.send_raw(piece);
        }
        let mut got = [0; 8192];
        assert_eq!(server.recv(&mut got).unwrap(), payload.len());
        assert!(got[..payload.len()] == payload);
    }
    let _ = lab.finish();
}

fn large_streams_arrive_whole_in_both_directions_at_once(plan: Plan) {
    let plan = plan.group("web", &[tcp_in(80)]);
    let mut lab = plan.guest("a", &["open"]).guest("b", &["web"]).start();
    let (a, b) = lab.pair("a", "b");
    let (client, server) = a.connect(b, 80);
    let (mut client_too, mut server_too) =
        (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (mut client, mut server) = (client, server);
    let there = thread::spawn(move || carries(&mut client, &mut server, 64 << 20));
    let back = thread::spawn(move || carries(&mut server_too, &mut client_too, 64 << 20));
    assert!(there.join().unwrap(), "what the client sent");
    assert!(back.join().unwrap(), "what the server sent");
    let _ = lab.finish();
}

/// A guest that sends as fast as it can, until told to stop; counts what it sent.
#[derive(Default)]
struct Flood {
    stop: AtomicBool,
    sent: AtomicU64,
}

impl Flood {
    fn run(&self, from: &Guest, to: &Guest) {
        let socket = from.raw(PacketMode::Send);
        let bytes = from.packet(to).udp(9, 9).payload(&[0; 18]).build();
        while !self.stop.load(Ordering::Relaxed) {
            // The queue may be full: that is the guest's own loss.
            let sent = socket.send_repeatedly(&bytes, 64).unwrap_or(0);
            self.sent.fetch_add(sent as u64, Ordering::Relaxed);
        }
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

fn a_flood_leaves_the_others_their_turn(plan: Plan) {
    let plan = plan.guest("loud", &["open"]).guest("sink", &["open"]);
    let mut lab = plan.guest("a", &["open"]).guest("b", &["open"]).start();
    let (a, b) = lab.pair("a", "b");
    let (loud, sink) = lab.pair("loud", "sink");
    let flood = Flood::default();
    let (client, server) = (a.udp(4000), b.udp(5000));
    let answers = || {
        client.send_to(b"there", (b.ip(), 5000)).unwrap();
        let there = server.recv(&mut [0; 8]).is_ok();
        server.send_to(b"back", (a.ip(), 4000)).unwrap();
        there && client.recv(&mut [0; 8]).is_ok()
    };
    let answered = thread::scope(|scope| {
        scope.spawn(|| flood.run(loud, sink));
        let mut answered = true;
        while answered && flood.sent() < 100_000 {
            answered = answers();
        }
        flood.stop.store(true, Ordering::Relaxed);
        answered
    });
    assert!(answered, "a packet of the others is lost");
    let _ = lab.finish();
}

fn a_tap_that_vanished_is_served_again_after_a_reload(plan: Plan) {
    let mut lab = plan.guest("a", &["open"]).guest("b", &["open"]).start();
    for round in 0..3 {
        let (a, b) = lab.pair("a", "b");
        assert!(a.pings(b.ip(), 1, 56), "round {round}");
        let mut links = Links::open(Some(b.netns())).unwrap();
        links.remove(&b.port().tap()).unwrap();
        eventually("the port is down", || lab.show("ports")[1]["up"] == false);
        lab.reload(|plan| plan);
        eventually("the port is up", || lab.show("ports")[1]["up"] == true);
    }
    let (a, b) = lab.pair("a", "b");
    assert!(a.pings(b.ip(), 1, 56));
    let _ = lab.finish();
}

fn the_audit_holds_while_packets_go_on(plan: Plan) {
    let mut lab = plan.guest("a", &["open"]).guest("b", &["open"]).start();
    let (a, b) = lab.pair("a", "b");
    let flood = Flood::default();
    thread::scope(|scope| {
        scope.spawn(|| flood.run(a, b));
        scope.spawn(|| flood.run(b, a));
        for _ in 0..20 {
            lab.audit();
        }
        flood.stop.store(true, Ordering::Relaxed);
    });
    let _ = lab.finish();
}

fn a_daemon_that_was_killed_is_followed_by_another(plan: Plan) {
    let mut lab = plan.guest("a", &["open"]).guest("b", &["open"]).start();
    lab.daemon().stop_by_force();
    lab.start_daemon();
    let (a, b) = lab.pair("a", "b");
    assert!(a.pings(b.ip(), 1, 56));
    let _ = lab.finish();
}

fn a_stop_under_load_is_clean_and_what_was_accepted_is_recorded(plan: Plan) {
    let mut lab = plan.guest("a", &["open"]).guest("b", &["open"]).start();
    let (a, b) = lab.pair("a", "b");
    let (a, b) = (a.clone(), b.clone());
    let flood = Flood::default();
    thread::scope(|scope| {
        scope.spawn(|| flood.run(&a, &b));
        thread::sleep(Duration::from_millis(300));
        lab.end();
        flood.stop.store(true, Ordering::Relaxed);
    });
    let recorded = lab.records(0).packets("b ingress udp a:9>b:9 ACCEPT");
    assert!(
        recorded > 0 && recorded <= flood.sent(),
        "{recorded} of {}",
        flood.sent()
    );
}

/// A sender, two others, and a guest with so many firewall rules that each packet takes 150 µs and more.
fn with_a_slow_guest(plan: Plan, threaded: &str) -> Lab {
    let plan = ["a", "c", "d"]
        .iter()
        .fold(plan, |plan, name| plan.guest(name, &["open"]));
    let plan = plan.port("slow", |port| {
        port.groups = vec!["open".into()];
        port.tap_keys = format!("threaded: {threaded}");
    });
    let lab = plan.start();
    lab.guest("slow").hears_nothing();
    lab.guest("slow").has_rules_for_nothing(10_000);
    lab
}

/// Floods the slow guest until `holds`, while others talk.
fn flood_the_slow_guest(lab: &Lab, what: &str, holds: impl Fn(&serde_json::Value) -> bool) {
    let (from, to) = (lab.guest("a").clone(), lab.guest("slow").clone());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let frame = from.packet(&to).udp(4000, 5000).payload(b"much").build();
            let socket = from.raw(PacketMode::Send);
            while !is_over.load(Ordering::Relaxed) {
                let _ = socket.send_repeatedly(&frame, 32);
                thread::sleep(Duration::from_micros(200));
            }
        });
        let (c, d) = lab.pair("c", "d");
        let others = c.pings(d.ip(), 10, 56);
        let mut seen = serde_json::Value::Null;
        let held = (0..100).any(|_| {
            thread::sleep(Duration::from_millis(100));
            let ports = lab.show("ports");
            let row = |rows: &Vec<serde_json::Value>| {
                rows.iter().find(|row| row["name"] == "slow").cloned()
            };
            seen = ports.as_array().and_then(row).unwrap();
            holds(&seen)
        });
        is_over.store(true, Ordering::Relaxed);
        assert!(held, "{what}: {seen}");
        assert!(others, "the others' packets");
    });
}

fn a_guest_whose_stack_is_slow_gets_a_thread_and_its_losses_are_its_own(plan: Plan) {
    let mut lab = with_a_slow_guest(plan, "auto");
    flood_the_slow_guest(
        &lab,
        "a thread of its own, and what it does not take",
        |port| port["threaded"] == true && port["tx_lost"].as_u64().unwrap() > 1000,
    );
    let log = lab.daemon().log();
    assert!(log.contains("kernel thread of its own"), "{log}");
    // What it sends is read as before.
    let (a, slow) = (lab.guest("a").clone(), lab.guest("slow").clone());
    let before = a.stats().rx_packets;
    slow.send_raw(&slow.packet(&a).udp(5000, 4000).payload(b"back").build());
    eventually("an answer", || a.stats().rx_packets > before);
    let _ = lab.finish();
}

fn a_slow_guest_without_a_thread_has_its_share_of_a_worker_and_no_more(plan: Plan) {
    let mut lab = with_a_slow_guest(plan, "off");
    flood_the_slow_guest(&lab, "slow, and what exceeds its share", |port| {
        let lost = |key: &str| port[key].as_u64().unwrap();
        port["write_ns"].as_u64().is_some_and(|ns| ns > 20_000)
            && lost("tx_over_share") > 100
            && lost("tx_lost") >= lost("tx_over_share")
            && port["threaded"] == false
    });
    let _ = lab.finish();
}

fn a_tap_with_a_thread_from_the_start_carries_streams_both_ways(plan: Plan) {
    let plan = plan.guest("a", &["open"]).port("b", |port| {
        port.groups = vec!["open".into()];
        port.tap_keys = "threaded: on".into();
    });
    let mut lab = plan.start();
    let (a, b) = lab.pair("a", "b");
    let (mut client, mut server) = a.connect(b, 80);
    assert!(carries(&mut client, &mut server, 32 << 20), "to it");
    assert!(carries(&mut server, &mut client, 32 << 20), "from it");
    let _ = lab.finish();
}
