//! Stores that are broken in every way there is, while guests go on.

use crate::support::{
    Counted, Keys, archive, archived, logger, logs,
    s3::{self, Fault, Server},
    start, sums,
};
use netns_tests::{Lab, eventually, within};
use std::{
    fs,
    net::UdpSocket,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Not,
    Down,
    Slow,
    Refusing,
    DiskFull,
}

/// How late the slow store answers.
const SLOW: Duration = Duration::from_secs(20);
/// How long the stores are broken: longer than ten intervals.
const OUTAGE: Duration = Duration::from_millis(11_200);
/// How long a store may take to get everything once it is well: the longest pause by then, and more.
const RECOVERY: Duration = Duration::from_secs(60);

/// A lab, its store, and how long its guests' datagrams took.
struct Side {
    broken: Broken,
    server: Server,
    lab: Lab,
    echo: UdpSocket,
    next_port: u16,
    /// Before and while the store is broken.
    times: [Vec<Duration>; 2],
    _keys: Keys,
}

impl Side {
    fn start(broken: Broken) -> Self {
        let (server, keys) = (Server::start(), Keys::new(s3::ACCESS, s3::SECRET));
        let mut plan = archived(&server, &keys);
        if broken == Broken::DiskFull {
            plan = plan.state_disk("1m");
        }
        let lab = start(plan);
        eventually("a store that answers", || {
            logger(&lab, "archive")["status"] == "ACTIVE"
        });
        let echo = lab.guest("b").udp(53);
        Self {
            broken,
            server,
            lab,
            echo,
            next_port: 10_000,
            times: [vec![], vec![]],
            _keys: keys,
        }
    }

    /// One datagram there and one back, from a port that was not used before: four rows of one packet.
    fn round_trip(&mut self, when: usize) {
        let (a, b) = self.lab.pair("a", "b");
        let client = a.udp(self.next_port);
        self.next_port += 1;
        let sent = Instant::now();
        client.send_to(b"ping", (b.ip(), 53)).unwrap();
        let (_, from) = self
            .echo
            .recv_from(&mut [0; 16])
            .expect("a datagram is lost");
        self.echo.send_to(b"pong", from).unwrap();
        let _ = client.recv(&mut [0; 16]).expect("a datagram is lost");
        self.times[when].push(sent.elapsed());
    }

    fn ballast(&self) -> PathBuf {
        self.lab.inside(&self.lab.dir().join("state/ballast"))
    }

    fn break_down(&self) {
        match self.broken {
            Broken::Not => {}
            Broken::Down => self.server.close(),
            Broken::Slow => self.server.state().always = Some(Fault::Slow(SLOW)),
            Broken::Refusing => self.server.state().forbidden = true,
            Broken::DiskFull => {
                let room = vec![0; 2 << 20];
                assert!(fs::write(self.ballast(), room).is_err(), "the disk is full");
            }
        }
    }

    fn mend(&mut self) {
        match self.broken {
            Broken::Not => {}
            Broken::Down => self.server.open(),
            Broken::Slow => self.server.state().always = None,
            Broken::Refusing => {
                self.server.state().forbidden = false;
                // A store that refused is asked again each minute, and at once on reload.
                self.lab.reload(|plan| plan);
            }
            Broken::DiskFull => fs::remove_file(self.ballast()).unwrap(),
        }
    }

    /// How the logger looks after the outage.
    fn check_outage(&self) {
        let row = logger(&self.lab, "archive");
        let state = (row["status"].as_str().unwrap(), row["store"].as_str());
        let waiting = row["waiting_files"].as_u64().unwrap();
        let expected = match self.broken {
            Broken::Not | Broken::Slow => ("ACTIVE", None),
            Broken::Down => ("ERROR", Some("unreachable")),
            Broken::Refusing => ("ERROR", Some("permission")),
            Broken::DiskFull => ("ERROR", None),
        };
        assert_eq!(state, expected, "{row}");
        match self.broken {
            Broken::Not => assert!(waiting <= 1, "{row}"),
            Broken::DiskFull => assert!(row["rows_lost"].as_u64().unwrap() > 0, "{row}"),
            _ => assert!(waiting >= 10, "{row}"),
        }
    }

    /// Everything is delivered, oldest first and each once, and what is missing is what was told.
    fn check_delivery(mut self) {
        within(RECOVERY, "an empty spool", || {
            let row = logger(&self.lab, "archive");
            row["waiting_files"] == 0 && row["status"] == "ACTIVE"
        });
        thread::sleep(Duration::from_millis(1200));
        let counted = Counted::of(&self.lab);
        let lost = logger(&self.lab, "archive")["rows_lost"].as_u64().unwrap();
        let log = self.lab.daemon().log();
        self.lab.end();
        let rows = logs(&self.lab, &archive());
        let sums = sums(&self.lab, &rows);
        let packets: u64 = sums.values().map(|[packets, _]| packets).sum();
        // Each row is one packet.
        assert_eq!(packets, rows.len() as u64);
        assert_eq!(counted.packets() - packets, lost, "{:?}", self.broken);
        if self.broken == Broken::DiskFull {
            assert!(lost > 0);
            assert_eq!(lost_in(&log), lost, "{log}");
        } else {
            assert_eq!(lost, 0);
            counted.assert_logged(&format!("{:?}", self.broken), &sums);
        }
        let state = self.server.state();
        let stored = state
            .stored
            .iter()
            .filter(|key| !key.contains("_vswitch_probe_"));
        let stored: Vec<_> = stored.collect();
        assert!(stored.is_sorted(), "not the oldest first: {stored:#?}");
        assert!(
            stored.windows(2).all(|two| two[0] != two[1]),
            "twice: {stored:#?}"
        );
    }
}

/// The rows that the daemon's log tells to be lost.
fn lost_in(log: &str) -> u64 {
    let lines = log
        .lines()
        .filter(|line| line.contains("rows of the flow log are lost"));
    let words = lines.flat_map(|line| line.split(' '));
    let numbers = words.filter_map(|word| word.strip_prefix("rows="));
    numbers.map(|number| number.parse::<u64>().unwrap()).sum()
}

/// Median and 99th percentile, microseconds.
fn figures(times: &mut [Duration]) -> [u128; 2] {
    times.sort();
    [50, 99].map(|percent| times[times.len() * percent / 100].as_micros())
}

/// Five switches side by side, so that the figures are of the same seconds of the same machine.
#[test]
fn a_store_that_is_broken_in_any_way_costs_the_guests_nothing_and_loses_only_what_is_told() {
    use Broken::{DiskFull, Down, Not, Refusing, Slow};
    let mut sides = [Not, Down, Slow, Refusing, DiskFull].map(Side::start);
    let talk_for = |sides: &mut [Side; 5], when, time| {
        let start = Instant::now();
        while start.elapsed() < time {
            sides.iter_mut().for_each(|side| side.round_trip(when));
            thread::sleep(Duration::from_millis(15));
        }
    };
    talk_for(&mut sides, 0, Duration::from_secs(2));
    sides.iter().for_each(Side::break_down);
    talk_for(&mut sides, 1, OUTAGE);
    sides.iter().for_each(Side::check_outage);
    sides.iter_mut().for_each(Side::mend);

    println!(
        "round trips of a datagram, µs: median and 99th percentile, before and during the outage"
    );
    let mut medians = vec![];
    for side in &mut sides {
        let counts = side.times.each_ref().map(Vec::len);
        let [before, during] = side.times.each_mut().map(|times| figures(times));
        let name = format!("{:?}", side.broken);
        println!("{name:>9} {before:?} {during:?} of {counts:?}");
        medians.push(during[0]);
    }
    // No statement about speed: a switch that waits for its store would take a hundred times as long.
    let worst = *medians.iter().max().unwrap();
    assert!(worst < 100 * medians[0] + 100_000, "{medians:?}");
    sides.into_iter().for_each(Side::check_delivery);
}
