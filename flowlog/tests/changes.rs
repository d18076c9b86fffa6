//! Every key of a logger, changed at every point of an interval: what was collected is written where
//! it was collected for, with the columns it was collected for, and every packet once.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod support;

use flowlog::{
    Account, AwsKey, AwsText, AwsVersion, Closed, Collector, Compression, EmptyIntervals, Field,
    FileName, Filter, Format, Layout, LoggerSpec, Partition, Profile, Resource, Scope, Storage,
    Window, Zone,
};
use std::{collections::BTreeSet, path::Path};
use support::*;

/// What a change does to an interval that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It goes on, in one file.
    GoesOn,
    /// It is written as it was meant to be, and another file begins.
    IsWritten,
    /// The logger collects nothing any more.
    Ends,
}

struct Change {
    key: &'static str,
    then: Then,
    apply: fn(&mut LoggerSpec, &Path),
}

const fn change(key: &'static str, then: Then, apply: fn(&mut LoggerSpec, &Path)) -> Change {
    Change { key, then, apply }
}

/// Every key of a logger's definition.
const CHANGES: &[Change] = &[
    change("nothing", Then::GoesOn, |_, _| ()),
    change("name", Then::GoesOn, |spec, _| spec.name = "other".into()),
    change("empty_intervals", Then::GoesOn, |spec, _| {
        spec.empty_intervals = EmptyIntervals::Write;
    }),
    change("flow_limit", Then::GoesOn, |spec, _| {
        spec.flow_limit = Some(9);
    }),
    change(
        "storage_url, as before by another spelling",
        Then::GoesOn,
        |spec, _| {
            let root = root(spec).join(".");
            spec.storage = Storage::Directory(root);
        },
    ),
    change("fields, fewer", Then::IsWritten, |spec, _| {
        spec.fields = vec![Field::SrcPort, Field::Packets];
    }),
    change("fields, in another order", Then::IsWritten, |spec, _| {
        spec.fields.reverse();
    }),
    change("fields, one that splits", Then::IsWritten, |spec, _| {
        spec.fields.push(Field::Reason);
    }),
    change(
        "fields, a profile with NODATA",
        Then::IsWritten,
        |spec, _| {
            spec.fields = Field::NHN_24.to_vec();
            spec.no_data_rows = true;
        },
    ),
    change(
        "fields and account_id, an AWS profile",
        Then::IsWritten,
        |spec, _| {
            let account = Account::parse("123456789012").unwrap();
            spec.fields = Profile::Aws(AwsVersion::V2).fields();
            spec.format = Format::Aws(AwsText {
                version: AwsVersion::V2,
                account: account.clone(),
            });
            spec.layout.aws = Some(AwsKey {
                account,
                region: "KR1".into(),
                by_hour: false,
            });
        },
    ),
    change("log_format", Then::IsWritten, |spec, _| {
        spec.format = Format::Parquet(Compression::Raw);
    }),
    change("compression_type", Then::IsWritten, |spec, _| {
        spec.format = Format::Csv(Compression::Gzip);
    }),
    change("storage_url", Then::IsWritten, |spec, dir| {
        spec.storage = Storage::Directory(dir.join("elsewhere"));
    }),
    change("storage_url and fields", Then::IsWritten, |spec, dir| {
        spec.storage = Storage::Directory(dir.join("elsewhere"));
        spec.fields = vec![Field::Packets, Field::SrcPort];
    }),
    change("storage_type", Then::IsWritten, |spec, _| {
        spec.storage = Storage::Ipfix("127.0.0.1:9".into());
    }),
    change("partition_period", Then::IsWritten, |spec, _| {
        spec.layout.partition = Partition::parse("year=#{year}").unwrap();
    }),
    change("customized_file_name", Then::IsWritten, |spec, _| {
        let name = "x#{logger_id}#{year}#{month}#{day}#{hour}#{minute}#{second}";
        spec.layout.file_name = FileName::parse(name).unwrap();
    }),
    change("time_zone", Then::IsWritten, |spec, _| {
        spec.layout = Layout {
            zone: Zone::parse("Asia/Seoul").unwrap(),
            ..Layout::default()
        };
    }),
    change("rows_per_file", Then::IsWritten, |spec, _| {
        spec.layout.rows_per_file = 1.try_into().unwrap();
    }),
    change(
        "aggregation_interval, shorter",
        Then::IsWritten,
        |spec, _| spec.interval_s = 10,
    ),
    change(
        "aggregation_interval, longer",
        Then::IsWritten,
        |spec, _| spec.interval_s = 120,
    ),
    change("filter", Then::IsWritten, |spec, _| {
        spec.filter = Filter::Accept;
    }),
    change("scope", Then::IsWritten, |spec, _| spec.scope = Scope::All),
    change("connection_setup_only", Then::IsWritten, |spec, _| {
        spec.connection_setup_only = true;
    }),
    change("resource", Then::IsWritten, |spec, _| {
        spec.resource = Resource::Port(interface(1));
    }),
    change("admin_state_up", Then::Ends, |spec, _| {
        spec.admin_state_up = false;
    }),
];

/// A logger that every observation is for, whatever is changed, and another that must not notice.
struct Scene {
    dir: TempDir,
    before: LoggerSpec,
    other: LoggerSpec,
    collector: Collector,
    /// Length of the base window.
    base_s: u32,
    closed: Vec<Closed>,
}

/// Packets of an observation, so that its row tells when it was made.
const BEFORE: u32 = 1;
const AFTER: u32 = 10;
const NEXT: u32 = 100;

impl Scene {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let [before, other] = [1, 2].map(|id| logger(id, dir.path()));
        let collector = collector(&[before.clone(), other.clone()]);
        Self {
            dir,
            before,
            other,
            collector,
            base_s: 60,
            closed: Vec::new(),
        }
    }

    /// Observes at the middle of a minute.
    fn observe(&mut self, minute: u64, count: u32) {
        let window = Window::of(T0 + minute * 60 + 30, self.base_s);
        let o = sent(udp(1, 53), ACCEPT, packets(count));
        self.collector.observe(window, &Lab::new(), &o);
    }

    fn close(&mut self, window: Window) {
        self.closed
            .extend(self.collector.close(window, &Lab::new(), &[]));
    }

    /// Closes the base windows of a minute.
    fn close_minute(&mut self, minute: u64) {
        let starts = (0..60).step_by(self.base_s as usize);
        for start_s in starts.map(|second| T0 + minute * 60 + second) {
            self.close(Window::of(start_s, self.base_s));
        }
    }

    fn change_to(&mut self, specs: &[LoggerSpec]) {
        let mut specs = specs.to_vec();
        specs.push(self.other.clone());
        self.base_s = flowlog::base_window_s(&specs);
        let closed = self.collector.reconfigure(specs, &Lab::new());
        self.closed.extend(closed);
    }

    /// Packets of every row below a folder that a logger wrote, by file.
    fn packets_in(&self, root: &Path) -> Vec<Vec<u64>> {
        let files = tree(root)
            .into_iter()
            .filter(|file| flowlog::read::is_flow_log(file));
        let packets = |row: &flowlog::read::Row| match row.get(Field::Packets) {
            Some(flowlog::read::Value::Number(packets)) => Some(*packets as u64),
            _ => None,
        };
        files
            .map(|file| {
                read_back(&root.join(file))
                    .iter()
                    .filter_map(packets)
                    .collect()
            })
            .collect()
    }

    /// The other logger has its intervals whole, in a file each.
    fn assert_the_other_is_untouched(&self, what: &str, sums: &[u64]) {
        let files = self.packets_in(root(&self.other));
        let sums: Vec<_> = sums.iter().map(|sum| vec![*sum]).collect();
        assert_eq!(files, sums, "{what}: another logger was disturbed");
    }
}

#[test]
fn whatever_key_is_changed_amid_an_interval_nothing_is_lost_doubled_or_put_elsewhere() {
    for Change { key, then, apply } in CHANGES {
        let mut scene = Scene::new();
        let mut after = scene.before.clone();
        apply(&mut after, scene.dir.path());
        scene.observe(0, BEFORE);
        scene.change_to(std::slice::from_ref(&after));
        let flushed = scene.closed.len();
        assert_eq!(flushed, usize::from(*then != Then::GoesOn), "{key}");
        if flushed == 1 {
            let file = &scene.closed[0].files[0];
            assert!(file.starts_with(root(&scene.before)), "{key}: {file:?}");
            let written = read_back(file);
            assert_eq!(written.len(), 1, "{key}");
            assert_eq!(
                written[0].fields(),
                scene.before.fields,
                "{key}: old columns"
            );
        }
        scene.observe(0, AFTER);
        scene.close_minute(0);
        scene.observe(1, NEXT);
        scene.close_minute(1);
        scene.close_minute(2);
        scene.close_minute(3);
        scene.assert_the_other_is_untouched(key, &[11, 100]);
        let place = after.storage.directory();
        let mut found = scene.packets_in(root(&scene.before));
        if let Some(place) = place
            && place != root(&scene.before)
            && *then != Then::GoesOn
        {
            assert_eq!(
                found,
                [[1]],
                "{key}: the old place holds what is of before, and no more"
            );
            found.extend(scene.packets_in(place));
        }
        let rows: Vec<u64> = found.iter().flatten().copied().filter(|n| *n > 0).collect();
        let sum: u64 = rows.iter().sum();
        match then {
            Then::Ends => assert_eq!(sum, 1, "{key}"),
            _ if place.is_none() => assert_eq!(sum, 1, "{key}: the rest went out as messages"),
            Then::GoesOn => assert!(rows.contains(&11) && sum == 111, "{key}: {found:?}"),
            Then::IsWritten => assert_eq!(sum, 111, "{key}: {found:?}"),
        }
        // Of messages, there is no one to receive them.
        let status = &scene.collector.status()[0];
        let lost = if place.is_some() { status.rows_lost } else { 0 };
        assert_eq!((lost, status.backlog.files), (0, 0), "{key}");
    }
}

#[test]
fn at_the_edges_of_an_interval_a_change_splits_nothing() {
    for Change { key, then, apply } in CHANGES {
        if *then != Then::IsWritten {
            continue;
        }
        let mut scene = Scene::new();
        let mut after = scene.before.clone();
        apply(&mut after, scene.dir.path());
        scene.observe(0, BEFORE);
        scene.close_minute(0);
        scene.change_to(std::slice::from_ref(&after));
        assert_eq!(scene.closed.len(), 2, "{key}: nothing was open");
        scene.observe(1, NEXT);
        scene.close_minute(1);
        scene.close_minute(2);
        scene.close_minute(3);
        scene.assert_the_other_is_untouched(key, &[1, 100]);
        assert_eq!(scene.packets_in(root(&scene.before))[0], [1], "{key}");
    }
}

#[test]
fn a_change_that_is_taken_back_within_the_interval_takes_the_next_part() {
    for Change { key, then, apply } in CHANGES {
        if *then == Then::GoesOn {
            continue;
        }
        let mut scene = Scene::new();
        let before = scene.before.clone();
        let mut after = before.clone();
        apply(&mut after, scene.dir.path());
        scene.observe(0, BEFORE);
        scene.change_to(std::slice::from_ref(&after));
        scene.change_to(std::slice::from_ref(&before));
        scene.observe(0, AFTER);
        scene.close_minute(0);
        scene.assert_the_other_is_untouched(key, &[11]);
        let files = scene.packets_in(root(&before));
        assert_eq!(files, [vec![1], vec![10]], "{key}");
        let names: BTreeSet<_> = tree(root(&before)).into_iter().collect();
        assert!(
            names.iter().any(|name| name.contains("_part2")),
            "{key}: {names:?}"
        );
    }
}

#[test]
fn a_logger_that_is_removed_and_added_again_within_the_interval_goes_on_with_the_next_part() {
    let mut scene = Scene::new();
    let before = scene.before.clone();
    scene.observe(0, BEFORE);
    scene.change_to(&[]);
    assert_eq!(scene.packets_in(root(&before)), [[1]]);
    scene.observe(0, AFTER);
    scene.change_to(std::slice::from_ref(&before));
    scene.observe(0, NEXT);
    scene.close_minute(0);
    assert_eq!(scene.packets_in(root(&before)), [[1], [100]]);
    scene.assert_the_other_is_untouched("removed", &[111]);
}

#[test]
fn an_interval_that_is_written_ahead_says_nodata_of_the_ports_that_were_silent_until_then() {
    let mut scene = Scene::new();
    scene.before.no_data_rows = true;
    let before = scene.before.clone();
    scene.change_to(std::slice::from_ref(&before));
    scene.observe(0, BEFORE);
    scene.change_to(&[]);
    assert_eq!(
        rows(&scene.closed, &["packets", "status"]),
        ["1 OK", " NODATA"]
    );
}

/// The switch ends the open base window when its length changes, so that its last chunk comes after
/// the change.
#[test]
fn a_base_window_that_a_change_cuts_short_ends_no_interval_and_leaves_the_times_as_they_were() {
    for (interval_s, second) in [(10, 25.0), (7, 31.0), (45, 50.0), (120, 25.0)] {
        let mut scene = Scene::new();
        let mut after = scene.before.clone();
        after.interval_s = interval_s;
        after.empty_intervals = EmptyIntervals::Write;
        scene.observe(0, BEFORE);
        let other_length = scene.other.interval_s;
        scene.change_to(std::slice::from_ref(&after));
        let cut = scene.closed.len();
        // Counted between the change of loggers and the change of the window.
        let late = sent(udp(1, 53), ACCEPT, tally(&[(second, 0)]));
        scene.collector.observe(minute(0), &Lab::new(), &late);
        scene.close(minute(0));
        let base_s = flowlog::base_window_s(&[after.clone(), scene.other.clone()]);
        if base_s == other_length {
            continue;
        }
        assert_eq!(
            scene.closed.len(),
            cut,
            "{interval_s}: nothing ends with the cut window"
        );
        let base = |n: u64| Window {
            start_s: T0 + n * u64::from(base_s),
            length_s: base_s,
        };
        for n in (second as u64 / u64::from(base_s))..(120 / u64::from(base_s)) {
            scene.close(base(n));
        }
        let times = rows(&scene.closed, &["timestamp_start", "packets"]);
        let at = T0 + second as u64;
        assert!(
            times.contains(&format!("{at} 1")),
            "{interval_s}: {times:?}"
        );
        scene.assert_the_other_is_untouched("aggregation_interval", &[2]);
    }
}
