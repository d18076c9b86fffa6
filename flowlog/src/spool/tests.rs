//! The spool against restarts, limits and damage.

use super::{testing::somewhere, *};
use proptest::prelude::*;
use std::{collections::VecDeque, io::Read as _, io::Write as _};

const LOGGER: Uuid = Uuid::from_u128(7);
const OTHER: Uuid = Uuid::from_u128(8);

fn of(logger: Uuid) -> QueueId {
    somewhere().queue(logger)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

fn open(root: &tempfile::TempDir) -> Spool {
    Spool::open(root.path().to_owned(), u64::MAX, Access::default()).unwrap()
}

fn put(spool: &Spool, logger: Uuid, name: &str, rows: u64) {
    let mut draft = spool.draft(logger, &somewhere(), name).unwrap();
    draft.write_all(name.as_bytes()).unwrap();
    draft.commit(60, rows).unwrap();
}

fn oldest(spool: &Spool, logger: Uuid) -> Option<u64> {
    spool.choose(of(logger), |waiting| waiting.keys().next().copied())
}

/// Names of what waits, oldest first; the spool is empty then.
fn drain(spool: &Spool, logger: Uuid) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(number) = oldest(spool, logger) {
        let (Head { name, .. }, _, mut body) = spool.read(of(logger), number).unwrap();
        let mut text = String::new();
        body.read_to_string(&mut text).unwrap();
        assert_eq!(text, name);
        assert!(spool.remove(of(logger), number).is_none());
        names.push(name);
    }
    names
}

#[test]
fn what_was_committed_outlives_the_process_in_its_order_and_what_was_not_leaves_nothing() {
    let root = folder();
    let spool = open(&root);
    for name in ["2026/a.csv", "2026/b.csv", "2026/c.csv"] {
        put(&spool, LOGGER, name, 1);
    }
    put(&spool, OTHER, "x", 5);
    let mut half = spool.draft(LOGGER, &somewhere(), "half").unwrap();
    half.write_all(b"half").unwrap();
    std::mem::forget(half);
    drop(spool);

    let spool = open(&root);
    assert_eq!(spool.backlog(LOGGER).files, 3);
    assert_eq!(spool.backlog(LOGGER).oldest_s, Some(60));
    assert_eq!(spool.others(&[LOGGER])[0].1.rows, 5);
    put(&spool, LOGGER, "2026/d.csv", 1);
    let names = drain(&spool, LOGGER);
    assert_eq!(
        names,
        ["2026/a.csv", "2026/b.csv", "2026/c.csv", "2026/d.csv"]
    );
    let folder = root.path().join(LOGGER.to_string());
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    assert_eq!(spool.backlog(LOGGER), Backlog::default());
}

#[test]
fn a_second_process_is_refused() {
    let root = folder();
    let first = open(&root);
    let second = Spool::open(root.path().to_owned(), u64::MAX, Access::default());
    assert!(matches!(second, Err(SpoolError::InUse(_))));
    drop(first);
    open(&root);
}

#[test]
fn an_object_that_is_damaged_is_told_and_given_up_alone() {
    let root = folder();
    let spool = open(&root);
    type Damage = fn(&[u8]) -> Vec<u8>;
    let damages: [Damage; 3] = [
        |bytes| bytes[..bytes.len() - 1].to_vec(),
        |_| b"something else".to_vec(),
        |_| Vec::new(),
    ];
    for damage in damages {
        put(&spool, LOGGER, "a", 3);
        let number = oldest(&spool, LOGGER).unwrap();
        let path = spool.path(
            of(LOGGER),
            number,
            &spool.ledger().entry(of(LOGGER), number).unwrap(),
        );
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, damage(&bytes)).unwrap();
        let error = spool.read(of(LOGGER), number).unwrap_err();
        assert!(matches!(error, SpoolError::Damaged { .. }), "{error}");
        spool.lose(of(LOGGER), number);
        assert!(!path.exists());
    }
    assert_eq!((spool.lost(LOGGER).files, spool.lost(LOGGER).rows), (3, 9));
}

#[test]
fn another_name_takes_the_objects_place_at_once() {
    let root = folder();
    let spool = open(&root);
    put(&spool, LOGGER, "a", 1);
    put(&spool, LOGGER, "b", 1);
    let number = oldest(&spool, LOGGER).unwrap();
    spool.rename(of(LOGGER), number, "a_part2").unwrap();
    drop(spool);
    let spool = open(&root);
    let number = oldest(&spool, LOGGER).unwrap();
    let (Head { name, .. }, entry, body) = spool.read(of(LOGGER), number).unwrap();
    assert_eq!((name.as_str(), entry.rows, body.len()), ("a_part2", 1, 1));
    assert_eq!(spool.backlog(LOGGER).files, 2);
}

#[test]
fn the_object_on_its_way_is_not_lost_to_the_limit() {
    let root = folder();
    let spool = Spool::open(root.path().to_owned(), 2 * 4096, Access::default()).unwrap();
    put(&spool, LOGGER, "a", 1);
    let carried = oldest(&spool, LOGGER).unwrap();
    put(&spool, LOGGER, "b", 2);
    put(&spool, OTHER, "c", 4);
    assert_eq!(spool.lost(LOGGER).rows, 2);
    assert!(spool.read(of(LOGGER), carried).is_ok());
    spool.remove(of(LOGGER), carried);
    assert_eq!(drain(&spool, OTHER), ["c"]);
}

#[test]
fn an_object_greater_than_the_whole_spool_is_refused_and_costs_no_other() {
    let root = folder();
    let spool = Spool::open(root.path().to_owned(), 2 * 4096, Access::default()).unwrap();
    put(&spool, LOGGER, "a", 1);
    let mut draft = spool.draft(LOGGER, &somewhere(), "b").unwrap();
    let error = draft.write_all(&[0; 3 * 4096]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    drop(draft);
    assert_eq!(drain(&spool, LOGGER), ["a"]);
}

#[test]
fn a_smaller_limit_at_the_next_start_takes_the_oldest() {
    let root = folder();
    let spool = open(&root);
    ["a", "b", "c"]
        .iter()
        .for_each(|name| put(&spool, LOGGER, name, 1));
    drop(spool);
    let spool = Spool::open(root.path().to_owned(), 4096, Access::default()).unwrap();
    assert_eq!(spool.lost(LOGGER).files, 2);
    assert_eq!(drain(&spool, LOGGER), ["c"]);
}

#[test]
fn files_that_are_not_the_spools_stay_where_they_are() {
    let root = folder();
    drop(open(&root));
    let own = root.path().join(LOGGER.to_string());
    fs::create_dir(&own).unwrap();
    for name in ["notes.txt", "1.2.object", "1.2.3.object", "x.1.1.object"] {
        fs::write(own.join(name), "mine").unwrap();
    }
    let spool = open(&root);
    assert_eq!(spool.backlog(LOGGER).files, 0);
    assert_eq!(fs::read_dir(&own).unwrap().count(), 4);
}

#[test]
fn what_waits_for_another_place_waits_in_a_queue_of_its_own_and_can_be_passed_on() {
    let root = folder();
    let spool = open(&root);
    let elsewhere = Destination::of(&crate::Storage::Directory("/else where".into()));
    put(&spool, LOGGER, "a", 1);
    let mut draft = spool.draft(LOGGER, &elsewhere, "b").unwrap();
    draft.write_all(b"b").unwrap();
    draft.commit(60, 1).unwrap();
    drop(spool);
    let spool = open(&root);
    let (here, there) = (of(LOGGER), elsewhere.queue(LOGGER));
    assert_eq!(spool.destination(here), Some(somewhere()));
    assert_eq!(spool.destination(there), Some(elsewhere));
    assert_eq!(spool.backlog(LOGGER).files, 2);
    spool.pass_on(there, here).unwrap();
    assert!(spool.is_empty(there));
    drop(spool);
    assert_eq!(drain(&open(&root), LOGGER), ["a", "b"]);
}

#[test]
fn an_object_of_an_older_spool_has_no_place_and_is_found() {
    let root = folder();
    drop(open(&root));
    let own = root.path().join(LOGGER.to_string());
    fs::create_dir(&own).unwrap();
    let text = format!("flowlog-object {:020} old.csv\nrows", 4);
    fs::write(own.join("000000000003.60.1.object"), text).unwrap();
    let spool = open(&root);
    let old = QueueId::unplaced(LOGGER);
    assert_eq!(spool.queues(LOGGER), [old]);
    assert_eq!(spool.destination(old), None);
    spool.pass_on(old, of(LOGGER)).unwrap();
    let number = oldest(&spool, LOGGER).unwrap();
    assert_eq!(spool.read(of(LOGGER), number).unwrap().0.name, "old.csv");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against the obvious: a list per logger from whose front the limit takes, oldest of all first.
    #[test]
    fn every_object_is_delivered_or_lost_and_never_both(
        steps in proptest::collection::vec((0..4_u8, any::<bool>()), 1..60),
        limit in 1..8_u64,
    ) {
        let root = folder();
        let reopen = || Spool::open(root.path().to_owned(), limit * 4096, Access::default()).unwrap();
        let mut spool = reopen();
        let mut expected: VecDeque<(Uuid, String)> = VecDeque::new();
        let (mut lost, mut lost_before) = (0, 0);
        for (n, (step, which)) in steps.into_iter().enumerate() {
            let logger = if which { LOGGER } else { OTHER };
            match step {
                0 | 1 => {
                    put(&spool, logger, &format!("object{n}"), 1);
                    expected.push_back((logger, format!("object{n}")));
                    if expected.len() as u64 > limit {
                        expected.pop_front();
                        lost += 1;
                    }
                }
                2 => {
                    let delivered = oldest(&spool, logger).map(|number| {
                        let (Head { name, .. }, _, _) = spool.read(of(logger), number).unwrap();
                        spool.remove(of(logger), number);
                        name
                    });
                    let place = expected.iter().position(|(of, _)| *of == logger);
                    let place = place.and_then(|place| expected.remove(place));
                    prop_assert_eq!(delivered, place.map(|(_, name)| name));
                }
                _ => {
                    lost_before += spool.lost(LOGGER).files + spool.lost(OTHER).files;
                    drop(spool);
                    spool = reopen();
                }
            }
            let now = spool.lost(LOGGER).files + spool.lost(OTHER).files;
            prop_assert_eq!(lost_before + now, lost);
            let files = spool.backlog(LOGGER).files + spool.backlog(OTHER).files;
            prop_assert_eq!(files, expected.len() as u64);
        }
    }
}
