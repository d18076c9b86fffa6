//! Couriers with a store of their own making, in a time of their own.

use super::{
    courier::Courier,
    pace::{ASK_AGAIN_MS, FAILURES_OF_ONE_MAX, REFUSED_IN_A_ROW_MAX},
    *,
};
use crate::{
    Access, Zone,
    spool::{Body, QueueId, testing::somewhere},
    store::{Cause, Store, StoreError},
};
use std::io::{Read as _, Write as _};

const LOGGER: Uuid = Uuid::from_u128(1);

fn queue() -> QueueId {
    somewhere().queue(LOGGER)
}
const MINUTE_MS: u64 = 60_000;

/// What happened at the store, in order.
type Diary = Arc<Mutex<Vec<String>>>;

/// Answers as a function of the object's name says.
struct Scripted {
    diary: Diary,
    answer: Box<Answer>,
}

type Answer = dyn FnMut(&str) -> Result<(), Cause> + Send;

impl Store for Scripted {
    fn probe(&mut self) -> Result<(), StoreError> {
        self.note("probe")
    }

    fn put(&mut self, name: &str, body: &mut Body) -> Result<(), StoreError> {
        let mut text = String::new();
        body.read_to_string(&mut text).unwrap();
        assert_eq!(text, "rows");
        self.note(name)
    }
}

impl Scripted {
    fn note(&mut self, name: &str) -> Result<(), StoreError> {
        let answer = (self.answer)(name);
        let word = answer.map_or_else(|cause| format!("{name} {cause}"), |()| name.to_owned());
        self.diary.lock().unwrap().push(word);
        answer.map_err(|cause| StoreError::new(cause, cause.as_str()))
    }
}

struct Scene {
    _state: tempfile::TempDir,
    kept: Arc<Kept>,
    board: Arc<Board>,
    diary: Diary,
    courier: Courier,
    now_ms: u64,
}

impl Scene {
    fn new(answer: impl FnMut(&str) -> Result<(), Cause> + Send + 'static) -> Self {
        let state = tempfile::tempdir_in("/dev/shm").unwrap();
        let delivery = Delivery::open(state.path(), u64::MAX, Access::default()).unwrap();
        let diary = Diary::default();
        let store = Scripted {
            diary: Arc::clone(&diary),
            answer: Box::new(answer),
        };
        let board = Arc::new(Board::default());
        let address = Address {
            store: Box::new(store),
            zone: Zone::utc(),
        };
        let kept = delivery.kept;
        let courier = Courier::new(Arc::clone(&kept), queue(), Arc::clone(&board), address);
        Self {
            _state: state,
            kept,
            board,
            diary,
            courier,
            now_ms: 0,
        }
    }

    fn spool(&self, name: &str) {
        let mut draft = self.kept.spool.draft(LOGGER, &somewhere(), name).unwrap();
        draft.write_all(b"rows").unwrap();
        draft.commit(1_795_410_000, 1).unwrap();
    }

    /// Does what is due until `end_ms`, without waiting for it.
    fn run_until(&mut self, end_ms: u64) {
        loop {
            match self.courier.step(self.now_ms, 7) {
                None => {}
                Some(Some(until_ms)) if until_ms <= end_ms => self.now_ms = until_ms,
                Some(_) => break,
            }
        }
        self.now_ms = end_ms;
    }

    fn diary(&self) -> Vec<String> {
        std::mem::take(&mut *self.diary.lock().unwrap())
    }
}

#[test]
fn a_store_is_asked_before_there_is_anything_to_deliver_and_then_never_again() {
    let mut scene = Scene::new(|_| Ok(()));
    scene.run_until(MINUTE_MS);
    scene.spool("a");
    scene.run_until(10 * MINUTE_MS);
    assert_eq!(scene.diary(), ["probe", "a"]);
    assert!(scene.board.read().answered);
}

#[test]
fn what_waits_is_question_enough() {
    let mut scene = Scene::new(|_| Ok(()));
    scene.spool("a");
    scene.run_until(MINUTE_MS);
    assert_eq!(scene.diary(), ["a"]);
}

#[test]
fn a_day_of_outage_costs_a_question_a_minute_and_loses_no_order() {
    let up = Arc::new(Mutex::new(false));
    let is_up = Arc::clone(&up);
    let mut scene = Scene::new(move |_| match *is_up.lock().unwrap() {
        true => Ok(()),
        false => Err(Cause::Unreachable),
    });
    let names: Vec<String> = (0..100).map(|n| format!("object{n:03}")).collect();
    names.iter().for_each(|name| scene.spool(name));
    scene.run_until(24 * 60 * MINUTE_MS);
    let asked = scene.diary();
    assert!((1440..3000).contains(&asked.len()), "{}", asked.len());
    let sounded = asked.iter().filter(|line| *line == "probe unreachable");
    let (sounded, oldest) = (sounded.count(), FAILURES_OF_ONE_MAX as usize);
    assert_eq!(asked[..oldest], vec!["object000 unreachable"; oldest]);
    assert_eq!(
        sounded,
        asked.len() - oldest,
        "a probe is less than an object"
    );
    let (cause, _) = scene.board.read().trouble.unwrap();
    assert_eq!(cause, Cause::Unreachable);
    *up.lock().unwrap() = true;
    scene.run_until(25 * 60 * MINUTE_MS);
    assert_eq!(scene.diary(), [vec!["probe".to_owned()], names].concat());
    assert!(scene.board.read().trouble.is_none());
}

#[test]
fn an_object_that_always_fails_does_not_hold_up_the_others() {
    let broken = Arc::new(Mutex::new(true));
    let is_broken = Arc::clone(&broken);
    let mut scene = Scene::new(move |name| match name {
        "bad" if *is_broken.lock().unwrap() => Err(Cause::Busy),
        _ => Ok(()),
    });
    ["bad", "second", "third"]
        .iter()
        .for_each(|name| scene.spool(name));
    scene.run_until(2 * MINUTE_MS);
    let diary = scene.diary();
    let patience = FAILURES_OF_ONE_MAX as usize;
    assert_eq!(diary[..patience], vec!["bad busy"; patience]);
    assert_eq!(
        diary[patience..patience + 4],
        ["probe", "bad busy", "second", "third"]
    );
    let (cause, text) = scene.board.read().trouble.unwrap();
    assert_eq!(cause, Cause::Busy);
    assert!(
        text.starts_with("bad: ") && text.contains("each minute"),
        "{text}"
    );
    scene.spool("fourth");
    scene.run_until(10 * MINUTE_MS);
    let diary = scene.diary();
    let asked = diary.iter().filter(|line| *line == "bad busy").count();
    assert!((7..=9).contains(&asked), "asked each minute: {diary:?}");
    assert!(diary.contains(&"fourth".to_owned()), "{diary:?}");
    *broken.lock().unwrap() = false;
    scene.run_until(12 * MINUTE_MS);
    assert_eq!(scene.diary().last().unwrap(), "bad");
    assert!(scene.board.read().trouble.is_none());
    assert_eq!(scene.kept.spool.backlog(LOGGER).files, 0);
}

#[test]
fn an_outage_with_an_object_aside_keeps_the_order_of_the_others() {
    let up = Arc::new(Mutex::new(true));
    let is_up = Arc::clone(&up);
    let mut scene = Scene::new(move |name| match *is_up.lock().unwrap() {
        true if name == "bad" => Err(Cause::Busy),
        true => Ok(()),
        false => Err(Cause::Unreachable),
    });
    ["bad", "a"].iter().for_each(|name| scene.spool(name));
    scene.run_until(2 * MINUTE_MS);
    *up.lock().unwrap() = false;
    let names: Vec<String> = (0..20).map(|n| format!("object{n:03}")).collect();
    names.iter().for_each(|name| scene.spool(name));
    scene.run_until(60 * MINUTE_MS);
    *up.lock().unwrap() = true;
    scene.diary();
    scene.run_until(70 * MINUTE_MS);
    let delivered = scene
        .diary()
        .into_iter()
        .filter(|line| line.starts_with("object"));
    assert_eq!(delivered.collect::<Vec<_>>(), names);
    assert_eq!(scene.kept.spool.backlog(LOGGER).files, 1);
}

#[test]
fn a_full_disk_keeps_the_order_although_a_probe_finds_room() {
    let room = Arc::new(Mutex::new(false));
    let has_room = Arc::clone(&room);
    let mut scene = Scene::new(move |name| match name {
        "great" if !*has_room.lock().unwrap() => Err(Cause::Full),
        _ => Ok(()),
    });
    ["great", "small"].iter().for_each(|name| scene.spool(name));
    scene.run_until(60 * MINUTE_MS);
    assert!(scene.diary().iter().all(|line| line == "great full"));
    *room.lock().unwrap() = true;
    scene.run_until(62 * MINUTE_MS);
    assert_eq!(scene.diary(), ["great", "small"]);
}

#[test]
fn a_key_that_may_not_write_the_probe_has_answered_all_the_same() {
    let mut scene = Scene::new(move |name| match name {
        "bad" => Err(Cause::Unreachable),
        "probe" => Err(Cause::Permission),
        _ => Ok(()),
    });
    ["bad", "good"].iter().for_each(|name| scene.spool(name));
    scene.run_until(2 * MINUTE_MS);
    assert!(scene.diary().contains(&"good".to_owned()));
}

#[test]
fn a_store_that_stumbles_is_not_an_error() {
    let mut left = 2;
    let mut scene = Scene::new(move |_| {
        left -= i32::from(left > 0);
        if left > 0 { Err(Cause::Busy) } else { Ok(()) }
    });
    scene.spool("a");
    scene.run_until(0);
    let progress = scene.board.read();
    assert!(progress.trouble.is_none() && progress.last_error.is_some());
    scene.run_until(MINUTE_MS);
    assert_eq!(scene.board.counts().files(), 1);
}

#[test]
fn a_store_that_refuses_is_asked_each_minute_and_the_logger_is_in_error_until_all_is_delivered() {
    let mut scene = Scene::new(|name| match name {
        "bad" => Err(Cause::Refused),
        _ => Ok(()),
    });
    ["bad", "good"].iter().for_each(|name| scene.spool(name));
    scene.run_until(5 * ASK_AGAIN_MS - 1);
    let diary = scene.diary();
    assert_eq!(diary[..2], ["bad refused", "good"]);
    assert_eq!(diary.len(), 2 + 4);
    assert_eq!(scene.board.read().trouble.unwrap().0, Cause::Refused);
    assert_eq!(scene.kept.spool.backlog(LOGGER).files, 1);
}

#[test]
fn wrong_credentials_cost_a_few_questions_a_minute_however_much_waits() {
    let mut scene = Scene::new(|_| Err(Cause::Credentials));
    (0..50).for_each(|n| scene.spool(&format!("object{n:03}")));
    scene.run_until(10 * ASK_AGAIN_MS - 1);
    assert_eq!(scene.diary().len(), 10 * REFUSED_IN_A_ROW_MAX as usize);
}

#[test]
fn a_probe_that_is_refused_is_repeated_each_minute() {
    let mut scene = Scene::new(|_| Err(Cause::Missing));
    scene.run_until(5 * ASK_AGAIN_MS - 1);
    assert_eq!(scene.diary().len(), 5);
    assert_eq!(scene.board.read().trouble.unwrap().0, Cause::Missing);
}

#[test]
fn a_name_that_is_taken_is_replaced_by_the_next_part_and_is_kept_then() {
    let mut scene = Scene::new(|name| match name.contains("_part3") {
        true => Ok(()),
        false => Err(Cause::Taken),
    });
    let stem = "2026/11/23/05/00000000-0000-0000-0000-000000000001_2026-11-23T05:00:00Z";
    scene.spool(&format!("{stem}.csv.gz"));
    scene.run_until(MINUTE_MS);
    let expected = [
        format!("{stem}.csv.gz taken"),
        format!("{stem}.csv.gz taken"),
        format!("{stem}_part2.csv.gz taken"),
        format!("{stem}_part3.csv.gz"),
    ];
    assert_eq!(scene.diary(), expected);
    assert_eq!(scene.kept.spool.backlog(LOGGER).files, 0);
}

#[test]
fn an_object_that_is_damaged_is_lost_and_the_next_is_delivered() {
    let mut scene = Scene::new(|_| Ok(()));
    ["a", "b"].iter().for_each(|name| scene.spool(name));
    let folder = scene.kept.spool.root().join(LOGGER.to_string());
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    std::fs::write(&files[0], "?").unwrap();
    scene.run_until(MINUTE_MS);
    assert_eq!(scene.diary(), ["b"]);
    assert_eq!(scene.kept.spool.lost(LOGGER).rows, 1);
    assert!(
        scene
            .board
            .read()
            .last_error
            .unwrap()
            .contains("is damaged")
    );
}

#[test]
fn a_store_whose_client_panics_is_an_error_that_others_pass_and_no_thread_dies_of() {
    let mut scene = Scene::new(|name| match name {
        "bad" => panic!("a bug"),
        _ => Ok(()),
    });
    scene.spool("bad");
    scene.spool("good");
    scene.run_until(MINUTE_MS / 2);
    assert_eq!(scene.diary(), ["good"]);
    let (cause, text) = scene.board.read().trouble.unwrap();
    assert_eq!(cause, Cause::Refused);
    assert!(text.contains("a bug in the delivery"), "{text}");
    assert_eq!(scene.kept.spool.backlog(LOGGER).files, 1, "nothing is lost");
}
