//! The daemon is killed at any moment, guests talking: every interval that it had closed is in the stores
//! once and whole, and the next start names the one that was only in memory.
//!
//! Ten times by default; `VSWITCH_KILLS` says otherwise.

use crate::support::{
    self, Keys, SECONDS, next_second,
    s3::{self, Fault, Server},
    start, talkers, to_bucket,
};
use netns_tests::{Lab, Plan, Records};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    hash::{BuildHasher as _, RandomState},
    path::Path,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Kills unless the environment says otherwise.
const KILLS: u64 = 10;

/// Source port of the first datagram.
const FIRST_PORT: u16 = 10_000;

const LOGGERS: [&str; 2] = ["folder", "bucket"];

/// A datagram that the switch has passed on; its number is its source port's.
#[derive(Debug, Clone, Copy)]
struct Sent {
    life: usize,
    /// The second in which it was, if it was in one for sure.
    second: Option<u64>,
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn plan(server: &Server, keys: &Keys) -> Plan {
    talkers(Plan::new().no_loggers())
        .top(&keys.top(&server.endpoint))
        .logger(&format!("name: folder, {SECONDS}"))
        .logger(&to_bucket("bucket", &support::archive()))
}

/// Sends datagrams, each from a port of its own, for so long.
fn talk(lab: &Lab, sent: &mut Vec<Sent>, life: usize, time: Duration) {
    let (a, b) = lab.pair("a", "b");
    let server = b.udp(53);
    let until = now() + time;
    while now() < until {
        let port = usize::from(FIRST_PORT) + sent.len();
        let port = u16::try_from(port).expect("fewer kills: every datagram has a port of its own");
        let client = a.udp(port);
        let before = now().as_secs();
        client.send_to(b"tick", (b.ip(), 53)).unwrap();
        server.recv(&mut [0; 16]).expect("a datagram is lost");
        let second = (now().as_secs() == before).then_some(before);
        sent.push(Sent { life, second });
        thread::sleep(Duration::from_millis(5));
    }
}

/// A value of a line of the daemon's log.
fn value<'l>(line: &'l str, name: &str) -> &'l str {
    let (_, rest) = line.split_once(name).unwrap();
    rest.split(' ').next().unwrap()
}

/// Per logger, the interval that the start says was only in memory.
fn interrupted(log: &str) -> BTreeMap<&str, u64> {
    let lines = log
        .lines()
        .filter(|line| line.contains("without its final flush"));
    let interval = |line| {
        let logger = LOGGERS
            .into_iter()
            .find(|name| value(line, "logger=") == *name)
            .unwrap();
        let start: jiff::Timestamp = value(line, "interval=").parse().unwrap();
        assert_eq!(value(line, "interval_s="), "1", "{line}");
        (logger, u64::try_from(start.as_second()).unwrap())
    };
    lines.map(interval).collect()
}

#[test]
fn after_any_kill_of_the_daemon_every_closed_interval_is_there_once_and_whole() {
    let kills = std::env::var("VSWITCH_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let (server, keys, dice) = (
        Server::start(),
        Keys::new(s3::ACCESS, s3::SECRET),
        RandomState::new(),
    );
    let mut lab = start(plan(&server, &keys));
    let mut sent = vec![];
    // By life and logger: the first interval that is not in the spool.
    let mut lost_from = vec![];
    for kill in 0..kills {
        let random = dice.hash_one(kill);
        server.state().faults = [
            Fault::Status(500, "InternalError"),
            Fault::Cut,
            Fault::LostAnswer,
        ]
        .into_iter()
        .skip((random >> 40) as usize % 4)
        .collect();
        let life = lost_from.len();
        talk(
            &lab,
            &mut sent,
            life,
            Duration::from_millis(200 + random % 1200),
        );
        if random >> 32 & 1 == 1 {
            // While an interval is being closed.
            next_second();
            thread::sleep(Duration::from_micros(random >> 20 & 0xffff));
        }
        let before = now().as_secs();
        lab.daemon().stop_by_force();
        let (after, said) = (now().as_secs(), lab.daemon().log().len());
        lab.start_daemon();
        let log = lab.daemon().log()[said..].to_owned();
        let named = interrupted(&log);
        for name in LOGGERS {
            let interval = *named
                .get(name)
                .unwrap_or_else(|| panic!("{name} is not named: {log}"));
            assert!(
                (before - 1..=after).contains(&interval),
                "{interval} of {before}: {log}"
            );
        }
        lost_from.push(LOGGERS.map(|name| named[name]));
    }
    let last = lost_from.len();
    talk(&lab, &mut sent, last, Duration::from_millis(500));
    lost_from.push([u64::MAX; 2]);
    netns_tests::eventually("an empty spool", || {
        LOGGERS
            .iter()
            .all(|name| support::logger(&lab, name)["waiting_files"] == 0)
    });
    lab.end();

    let spool = names_below(&lab.dir().join("state/spool"));
    assert_eq!(spool, ["lock"], "the spool is empty");
    let files = names_below(&lab.dir().join("flowlogs"));
    assert!(files.iter().all(|name| name.ends_with(".csv")), "{files:?}");
    check("folder", &lab.records(0), &sent, |life| lost_from[life][0]);
    let objects = lab.dir().join("objects");
    fs::create_dir(&objects).unwrap();
    for (number, (key, body)) in server.state().objects.iter().enumerate() {
        if !key.contains("_vswitch_probe_") {
            fs::write(objects.join(format!("{number}.csv")), body).unwrap();
        }
    }
    let ports = ["a", "b"].map(|name| lab.guest(name).port().clone());
    let records = Records::read(&objects, &ports);
    check("bucket", &records, &sent, |life| lost_from[life][1]);
}

#[test]
fn a_daemon_that_is_killed_in_its_first_interval_is_followed_by_one_that_names_it() {
    let mut lab = start(talkers(Plan::new()));
    for _ in 0..2 {
        let (since, said) = (now().as_secs(), lab.daemon().log().len());
        talk(&lab, &mut vec![], 0, Duration::from_millis(50));
        lab.daemon().stop_by_force();
        lab.start_daemon();
        let log = lab.daemon().log()[said..].to_owned();
        let line = log
            .lines()
            .find(|line| line.contains("without its final flush"));
        let line = line.unwrap_or_else(|| panic!("{log}"));
        let moment = value(line, "since=").parse::<jiff::Timestamp>().unwrap();
        let moment = u64::try_from(moment.as_second()).unwrap();
        assert!(moment.abs_diff(since) < 10, "{since}: {line}");
        assert_eq!(value(line, "interval_s="), "900");
    }
    lab.end();
}

/// Names of the files below a folder.
fn names_below(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let names = entries.flat_map(|entry| match entry.path().is_dir() {
        true => names_below(&entry.path()),
        false => vec![entry.file_name().into_string().unwrap()],
    });
    names.collect()
}

/// Checks a store's records against what was sent; `lost_from`: the first interval that a life lost.
fn check(store: &str, records: &Records, sent: &[Sent], lost_from: impl Fn(usize) -> u64) {
    for (port, direction) in [("a", "egress"), ("b", "ingress")] {
        let mut found = BTreeMap::new();
        for row in records.pick(|row| row.port == port && row.direction == direction) {
            assert_eq!(
                (row.packets, row.start_s),
                (1, row.end_s),
                "{store}: {row:?}"
            );
            let number = usize::from(row.tuple.unwrap().src_port - FIRST_PORT);
            let twice = found.insert(number, row.start_s);
            assert_eq!(twice, None, "{store}: {row:?} is there twice");
        }
        // Intervals of a life that the start called lost, and whether their rows are there all the same.
        let mut in_doubt: BTreeMap<(usize, u64), BTreeSet<bool>> = BTreeMap::new();
        for (number, sent) in sent.iter().enumerate() {
            let second = found.get(&number).copied();
            if let (Some(second), Some(expected)) = (second, sent.second) {
                assert_eq!(second, expected, "{store}: {sent:?}");
            }
            let Some(expected) = sent.second else {
                continue;
            };
            if expected < lost_from(sent.life) {
                assert!(second.is_some(), "{store}, {port}: {sent:?} is missing");
            } else {
                let whole = in_doubt.entry((sent.life, expected)).or_default();
                whole.insert(second.is_some());
            }
        }
        for (interval, found) in in_doubt {
            assert_eq!(found.len(), 1, "{store}: a part of {interval:?}");
        }
    }
}
