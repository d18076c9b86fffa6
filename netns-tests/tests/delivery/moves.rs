//! A reload that changes what a logger writes and where to, amid an interval: what was collected
//! before is where it was collected for, in the form it was collected for.

use crate::support::{Counted, SETTLED, Sums, logs, next_second, start, sums, talk, talkers};
use netns_tests::{Lab, Plan};
use std::{fs, path::Path, thread};

/// The columns of the new place.
const FIELDS: &str = "[interface_id, direction, src_addr, filter, packets, bytes]";

/// The plan's only logger, from now on.
fn logging(plan: Plan, keys: &str, place: &str) -> Plan {
    let logger = format!("name: log, resource_type: VPC, resource: lab, storage_url: \"{place}\"");
    plan.no_loggers().logger(&format!("{logger}, {keys}"))
}

fn place(lab: &Lab, name: &str) -> String {
    format!("{}/logs-{name}", lab.dir().display())
}

fn add(sum: &mut Sums, other: Sums) {
    for (of, [packets, bytes]) in other {
        let sum = sum.entry(of).or_default();
        sum[0] += packets;
        sum[1] += bytes;
    }
}

/// The first line of every file of a place.
fn headers(place: impl AsRef<Path>) -> Vec<String> {
    let entries = fs::read_dir(place)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let lines = entries.flat_map(|path| match path.is_dir() {
        true => headers(path),
        false => {
            let text = fs::read_to_string(path).unwrap();
            vec![text.lines().next().unwrap_or_default().to_owned()]
        }
    });
    lines.collect()
}

#[test]
fn a_reload_amid_an_interval_leaves_what_was_collected_where_it_was_collected_for() {
    let mut lab = start(talkers(Plan::new().no_loggers()));
    let (old, new) = (place(&lab, "old"), place(&lab, "new"));
    let keys = "aggregation_interval: 10m, empty_intervals: skip";
    lab.reload(|plan| logging(plan, keys, &old));
    // What is counted while no logger is there is in no file; from here on all of it is.
    let before = Counted::of(&lab);
    assert_eq!(before.packets(), 0);
    let (a, b) = lab.pair("a", "b");
    talk(a, b);
    thread::sleep(SETTLED);
    let first = Counted::of(&lab);
    lab.reload(|plan| logging(plan, &format!("{keys}, fields: {FIELDS}"), &new));
    let (a, b) = lab.pair("a", "b");
    talk(a, b);
    thread::sleep(SETTLED);
    let both = Counted::of(&lab);
    lab.end();
    let of_old = sums(&lab, &logs(&lab, &old));
    first.assert_logged("the old place", &of_old);
    let mut all = of_old;
    add(&mut all, sums(&lab, &logs(&lab, &new)));
    both.assert_logged("both places", &all);
    assert!(
        headers(&old)
            .iter()
            .all(|header| header.starts_with("timestamp_start,"))
    );
    assert!(
        headers(&new)
            .iter()
            .all(|header| header.starts_with("interface_id,direction,"))
    );
}

#[test]
fn reloads_at_every_point_of_short_intervals_lose_no_packet_and_mix_no_columns() {
    let mut lab = start(talkers(Plan::new().no_loggers()));
    let places: Vec<_> = (0..6).map(|n| place(&lab, &n.to_string())).collect();
    let keys = |n: usize| {
        let fields = ["fields: nhn-18", &format!("fields: {FIELDS}")][n % 2].to_owned();
        let interval = ["1s", "2s", "3s"][n % 3];
        format!("aggregation_interval: {interval}, empty_intervals: skip, {fields}")
    };
    lab.reload(|plan| logging(plan, &keys(0), &places[0]));
    for (n, place) in places.iter().enumerate().skip(1) {
        let (a, b) = lab.pair("a", "b");
        talk(a, b);
        if n % 2 == 0 {
            // Just behind an interval's end, while its counts are still being fetched.
            next_second();
        }
        lab.reload(|plan| logging(plan, &keys(n), place));
    }
    let (a, b) = lab.pair("a", "b");
    talk(a, b);
    thread::sleep(SETTLED);
    let counted = Counted::of(&lab);
    lab.end();
    let mut all = Sums::new();
    for (n, place) in places.iter().enumerate() {
        add(&mut all, sums(&lab, &logs(&lab, place)));
        let begins = ["timestamp_start,", "interface_id,direction,"][n % 2];
        let headers = headers(place);
        assert!(!headers.is_empty(), "{place}");
        assert!(
            headers.iter().all(|header| header.starts_with(begins)),
            "{place}: {headers:?}"
        );
    }
    counted.assert_logged("all places", &all);
}
