//! A guest whose network stack is slow: what a packet to it costs the switch, and what the others feel.

use crate::{
    Options,
    report::{Report, figure},
    trips::Trips,
};
use anyhow::{Result, ensure};
use netns_tests::{Guest, Lab, Plan, rules::any_in};
use std::{
    thread,
    time::{Duration, Instant},
};
use tap::PacketMode;

/// How long packets go to the slow guest, and how long before until it is found.
const TURN: Duration = Duration::from_secs(3);
const FOUND: Duration = Duration::from_secs(2);
/// Frames handed over with one system call, and a pause: the sender is not to fill a core.
const BURST: usize = 32;
const PAUSE: Duration = Duration::from_micros(500);
/// Goals of TARGETS: a packet to a guest with 1,000 rules, ...
const MOST_US: f64 = 1.5;
/// ... and nine of ten round trips of the others, whatever a guest does to itself.
const MOST_TRIP_US: f64 = 1000.0;

/// What was seen.
struct Seen {
    us_per_packet: f64,
    lost: f64,
    trips: Trips,
}

pub(crate) fn measure(_: &Options, report: &mut Report) -> Result<()> {
    for (rules, subject) in [
        (0, "no rules"),
        (1_000, "1,000 rules"),
        (300_000, "300,000 rules"),
    ] {
        for threaded in ["off", "auto", "on"] {
            let seen = look(rules, threaded)?;
            let cost = figure(
                "processor time of the switch per packet to it",
                seen.us_per_packet,
                "µs",
            );
            let trip = figure(
                "the others' round trip, nine of ten",
                seen.trips.quantile_us(0.9),
                "µs",
            );
            let is_bounded = threaded != "off";
            let figures = [
                if is_bounded && rules == 1_000 {
                    cost.at_most(MOST_US)
                } else {
                    cost
                },
                figure(
                    "the others' round trip, median",
                    seen.trips.quantile_us(0.5),
                    "µs",
                ),
                if is_bounded {
                    trip.at_most(MOST_TRIP_US)
                } else {
                    trip
                },
                figure("its packets lost (tx_lost)", seen.lost * 100.0, "%"),
            ];
            report.add(
                "slow",
                &format!("{subject}, threaded: {threaded}"),
                &figures,
            );
        }
    }
    Ok(())
}

fn look(rules: usize, threaded: &str) -> Result<Seen> {
    let plan = Plan::new().no_loggers().group("open", &[any_in()]);
    let plan = ["a", "c", "d"]
        .iter()
        .fold(plan, |plan, name| plan.guest(name, &["open"]));
    let mut lab = plan
        .port("slow", |port| {
            port.groups = vec!["open".into()];
            port.tap_keys = format!("threaded: {threaded}");
        })
        .start();
    let (a, slow) = (lab.guest("a").clone(), lab.guest("slow").clone());
    let (c, d) = (lab.guest("c").clone(), lab.guest("d").clone());
    c.knows(&[&d]);
    d.knows(&[&c]);
    slow.hears_nothing();
    slow.has_rules_for_nothing(rules);
    send(&a, &slow, FOUND);
    let before = (counted(&lab), lab.daemon().cpu_time());
    let start = Instant::now();
    let trips = thread::scope(|scope| {
        scope.spawn(|| send(&a, &slow, TURN));
        Trips::until(&c, &d, || start.elapsed() > TURN)
    });
    let used = lab.daemon().cpu_time().saturating_sub(before.1);
    let [tx, lost] = counted(&lab);
    let (tx, lost) = (tx - before.0[0], lost - before.0[1]);
    lab.audit();
    lab.end();
    ensure!(tx + lost > 0, "nothing was sent");
    let packets = (tx + lost) as f64;
    Ok(Seen {
        us_per_packet: used.as_secs_f64() * 1e6 / packets,
        lost: lost as f64 / packets,
        trips,
    })
}

fn send(from: &Guest, to: &Guest, time: Duration) {
    let frame = from.packet(to).udp(4000, 5000).payload(&[0; 18]).build();
    let (socket, start) = (from.raw(PacketMode::Send), Instant::now());
    while start.elapsed() < time {
        let _ = socket.send_repeatedly(&frame, BURST);
        thread::sleep(PAUSE);
    }
}

/// Packets that the slow guest was given, and that it lost.
fn counted(lab: &Lab) -> [u64; 2] {
    let ports = lab.show("ports");
    let rows = ports.as_array().cloned().unwrap_or_default();
    let row = rows.iter().find(|row| row["name"] == "slow");
    let count = |key: &str| row.and_then(|row| row[key].as_u64()).unwrap_or_default();
    [count("tx"), count("tx_lost")]
}
