//! Object storage: what arrives, what a failing store costs (SPEC section 7).
#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod support;

use flowlog::{
    Bucket, Cause, Collector, Delivery, EmptyIntervals, LoggerSpec, LoggerStatus, Object,
    ObjectError, Objects, Secret, State, Storage,
};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use support::s3::{BUCKET, Fault, SECRET, Server};
use support::*;

const ID: &str = "00000000-0000-0000-0000-000000000001";

/// A store, a logger that writes to it, and what the logger keeps on disk.
struct Scene {
    dir: TempDir,
    server: Server,
    bucket: Bucket,
}

impl Scene {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let server = Server::start();
        write_keys(dir.path());
        let bucket = Bucket {
            prefix: "lab/a".into(),
            ..bucket(&server.endpoint, dir.path())
        };
        Self {
            dir,
            server,
            bucket,
        }
    }

    fn spec(&self) -> LoggerSpec {
        LoggerSpec {
            storage: Storage::Bucket(self.bucket.clone()),
            ..logger(1, self.dir.path())
        }
    }

    fn state(&self) -> std::path::PathBuf {
        self.dir.path().join("state")
    }

    fn collector(&self) -> Collector {
        remembering(&[self.spec()], &self.state())
    }

    /// With threads, as the daemon has it.
    fn threaded(&self) -> Collector {
        let delivery =
            Delivery::open(&self.state(), SPOOL_MAX, flowlog::Access::default()).unwrap();
        Collector::new(vec![self.spec()], delivery)
    }
}

/// An interval with `flows` rows.
fn close(collector: &mut Collector, n: u64, flows: u16) {
    for flow in 0..flows {
        let o = sent(udp(flow, 53), ACCEPT, packets(1));
        collector.observe(minute(n), &Lab::new(), &o);
    }
    let closed = collector.close(minute(n), &Lab::new(), &[]);
    assert!(closed.iter().all(|closed| closed.error.is_none()));
}

fn key(n: u64) -> String {
    format!("lab/a/2026/11/23/05/{ID}_2026-11-23T05:{n:02}:00Z.csv")
}

fn status(collector: &Collector) -> LoggerStatus {
    collector.status().remove(0)
}

/// Waits for what a thread does.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The reasons in `[cause, what the message says]` for a store that the logger was told.
fn trouble(scene: &Scene) -> (Cause, String) {
    let mut collector = scene.collector();
    close(&mut collector, 0, 1);
    let status = status(&collector);
    assert_eq!(status.state, State::Error);
    assert_eq!((status.backlog.files, status.rows_lost), (1, 0));
    let text = status.cause.unwrap();
    assert!(!text.contains(SECRET), "{text}");
    (status.store.unwrap(), text)
}

#[test]
fn an_interval_is_one_signed_object_under_its_name_and_nothing_else_stays() {
    let scene = Scene::new();
    let mut collector = scene.collector();
    assert_eq!(status(&collector).state, State::Active);
    close(&mut collector, 0, 3);
    let state = scene.server.state();
    assert_eq!(state.objects.keys().collect::<Vec<_>>(), [&key(0)]);
    let text = String::from_utf8(state.objects[&key(0)].clone()).unwrap();
    assert_eq!(text.lines().count(), 4);
    let probe = format!("lab/a/_vswitch_probe_{ID}");
    assert_eq!(state.removed, [probe]);
    let status = status(&collector);
    assert_eq!((status.files, status.rows, status.backlog.files), (1, 3, 0));
}

#[test]
fn the_location_that_a_closed_interval_names_is_the_objects_address() {
    let scene = Scene::new();
    let mut collector = scene.collector();
    let o = sent(udp(1, 53), ACCEPT, packets(1));
    collector.observe(minute(0), &Lab::new(), &o);
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    assert_eq!(
        closed[0].files,
        [Path::new(&format!("s3://{BUCKET}/{}", key(0)))]
    );
}

#[test]
fn a_key_that_may_only_write_is_enough_and_its_probe_is_no_empty_object_of_the_log() {
    let scene = Scene::new();
    scene.server.state().write_only = true;
    for n in 0..3 {
        let mut collector = scene.collector();
        assert_eq!(status(&collector).state, State::Active);
        close(&mut collector, n, 1);
    }
    let state = scene.server.state();
    let probes: Vec<_> = state
        .objects
        .iter()
        .filter(|(key, _)| key.contains("_vswitch_probe_"))
        .collect();
    assert_eq!(probes.len(), 1);
    assert!(!probes[0].1.is_empty() && !probes[0].0.ends_with(".csv"));
    assert_eq!(state.objects.len(), 4);
    assert!(state.asked.iter().all(|(line, _)| !line.starts_with("GET")));
}

#[test]
fn every_refusal_has_a_cause_of_its_own_and_keeps_the_spool() {
    let mut scene = Scene::new();
    scene.bucket.access_key = Secret::Env("VSWITCH_TEST_NO_SUCH_VARIABLE".into());
    let (cause, text) = trouble(&scene);
    assert_eq!(cause, Cause::Credentials);
    assert!(
        text.contains("VSWITCH_TEST_NO_SUCH_VARIABLE is not set"),
        "{text}"
    );

    let scene = Scene::new();
    fs::write(scene.dir.path().join("access"), "nobody").unwrap();
    assert_eq!(trouble(&scene).0, Cause::Credentials);

    let scene = Scene::new();
    fs::write(scene.dir.path().join("secret"), "wrong").unwrap();
    let (cause, text) = trouble(&scene);
    assert_eq!(cause, Cause::Credentials);
    assert!(text.contains("SignatureDoesNotMatch"), "{text}");

    let mut scene = Scene::new();
    scene.bucket.name = "absent".into();
    let (cause, text) = trouble(&scene);
    assert_eq!(cause, Cause::Missing);
    assert!(
        text.contains("there is no bucket absent; create it"),
        "{text}"
    );

    let scene = Scene::new();
    scene.server.state().forbidden = true;
    assert_eq!(trouble(&scene).0, Cause::Permission);

    let scene = Scene::new();
    scene.server.state().clock_ahead_s = 3600;
    let (cause, text) = trouble(&scene);
    assert_eq!(cause, Cause::Clock);
    assert!(text.contains("s behind the store's"), "{text}");

    let mut scene = Scene::new();
    scene.bucket.region = "KR2".into();
    let (cause, text) = trouble(&scene);
    assert_eq!(cause, Cause::Refused);
    assert!(text.contains("does not go by the region KR2"), "{text}");
}

#[test]
fn a_store_that_is_not_there_is_told_apart_after_a_few_attempts() {
    let mut scene = Scene::new();
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    scene.bucket.endpoint = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let mut collector = scene.threaded();
    assert_eq!(status(&collector).state, State::Build);
    close(&mut collector, 0, 1);
    until("ERROR", || status(&collector).state == State::Error);
    let status = status(&collector);
    assert_eq!(status.store, Some(Cause::Unreachable));
    assert_eq!(status.backlog.files, 1);
    assert_eq!(collector.shut(Duration::ZERO), 1);
}

#[test]
fn a_refusal_that_was_mended_is_found_out_by_a_reload() {
    let scene = Scene::new();
    scene.server.state().forbidden = true;
    let mut collector = scene.collector();
    (0..6).for_each(|n| close(&mut collector, n, 1));
    let asked = scene.server.state().asked.len();
    assert!(asked <= 6, "{asked} requests");
    assert_eq!(status(&collector).backlog.files, 6);
    scene.server.state().forbidden = false;
    collector.reconfigure(vec![scene.spec()], &Lab::new());
    assert_eq!(status(&collector).state, State::Active);
    assert_eq!(status(&collector).backlog.files, 0);
    let stored = scene.server.state().stored.clone();
    assert_eq!(stored, (0..6).map(key).collect::<Vec<_>>());
}

#[test]
fn one_refused_object_blocks_no_other() {
    let scene = Scene::new();
    scene.server.state().for_key = Some((key(1), Fault::Status(400, "InvalidArgument")));
    let mut collector = scene.collector();
    (0..4).for_each(|n| close(&mut collector, n, 1));
    let stored: Vec<_> = scene.server.state().objects.keys().cloned().collect();
    assert_eq!(stored, [key(0), key(2), key(3)]);
    let before = status(&collector);
    assert_eq!(
        (before.state, before.store),
        (State::Error, Some(Cause::Refused))
    );
    assert_eq!(before.backlog.oldest_s, Some(T0 + 60));
    scene.server.state().for_key = None;
    collector.reconfigure(vec![scene.spec()], &Lab::new());
    assert_eq!(scene.server.state().objects.len(), 4);
    assert_eq!(status(&collector).state, State::Active);
}

#[test]
fn what_a_store_does_once_is_survived_and_each_object_is_there_once_and_whole() {
    let faults = [
        Fault::Status(500, "InternalError"),
        Fault::Status(503, "SlowDown"),
        Fault::Status(429, "TooManyRequests"),
        Fault::Status(408, "RequestTimeout"),
        Fault::Status(400, "BadDigest"),
        Fault::Cut,
        Fault::LostAnswer,
        Fault::Slow(Duration::from_secs(1)),
    ];
    std::thread::scope(|scope| {
        for fault in faults {
            scope.spawn(move || survives(fault));
        }
    });
}

fn survives(fault: Fault) {
    let mut scene = Scene::new();
    scene.bucket.timeout = Duration::from_millis(500);
    let mut collector = scene.threaded();
    until("ACTIVE", || status(&collector).state == State::Active);
    scene.server.state().faults.push_back(fault);
    close(&mut collector, 0, 5);
    until("delivered", || status(&collector).backlog.files == 0);
    assert!(status(&collector).last_error.is_some(), "{fault:?}");
    assert_eq!(status(&collector).state, State::Active);
    assert_eq!(collector.shut(Duration::from_secs(5)), 0);
    let state = scene.server.state();
    assert_eq!(state.objects.keys().collect::<Vec<_>>(), [&key(0)]);
    let text = String::from_utf8(state.objects[&key(0)].clone()).unwrap();
    assert_eq!(text.lines().count(), 6, "{fault:?}");
}

#[test]
fn a_store_that_was_down_for_ten_intervals_gets_them_in_order() {
    let scene = Scene::new();
    scene.server.state().always = Some(Fault::Status(503, "ServiceUnavailable"));
    let mut collector = scene.threaded();
    (0..10).for_each(|n| close(&mut collector, n, 1));
    until("ERROR", || status(&collector).state == State::Error);
    assert_eq!(status(&collector).store, Some(Cause::Busy));
    assert_eq!(status(&collector).backlog.files, 10);
    scene.server.state().always = None;
    until("drained", || status(&collector).backlog.files == 0);
    let stored = scene.server.state().stored.clone();
    assert_eq!(stored, (0..10).map(key).collect::<Vec<_>>());
    assert_eq!(status(&collector).rows, 10);
    assert_eq!(collector.shut(Duration::from_secs(5)), 0);
}

#[test]
fn a_store_without_room_is_waited_for() {
    let scene = Scene::new();
    scene.server.state().room = Some(0);
    let mut collector = scene.threaded();
    close(&mut collector, 0, 1);
    until("ERROR", || status(&collector).state == State::Error);
    assert_eq!(status(&collector).store, Some(Cause::Full));
    scene.server.state().room = None;
    until("delivered", || status(&collector).backlog.files == 0);
}

#[test]
fn a_store_that_hangs_delays_neither_the_next_interval_nor_another_logger() {
    let scene = Scene::new();
    let other = LoggerSpec {
        empty_intervals: EmptyIntervals::Skip,
        ..logger(2, scene.dir.path())
    };
    scene.server.state().always = Some(Fault::Slow(Duration::from_secs(1)));
    let delivery = Delivery::open(&scene.state(), SPOOL_MAX, flowlog::Access::default()).unwrap();
    let mut collector = Collector::new(vec![scene.spec(), other.clone()], delivery);
    let start = Instant::now();
    (0..5).for_each(|n| close(&mut collector, n, 1));
    until("the other's files", || collector.status()[1].files == 5);
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(collector.status()[0].backlog.files, 5);
    assert_eq!(tree(root(&other)).len(), 5);
}

#[test]
fn the_next_start_delivers_what_the_spool_holds_under_the_names_it_had() {
    let scene = Scene::new();
    scene.server.state().always = Some(Fault::Status(503, "ServiceUnavailable"));
    let mut collector = scene.collector();
    (0..3).for_each(|n| close(&mut collector, n, 1));
    drop(collector);
    scene.server.state().always = None;
    let collector = scene.collector();
    let stored = scene.server.state().stored.clone();
    assert_eq!(stored, (0..3).map(key).collect::<Vec<_>>());
    assert_eq!(status(&collector).files, 3);
}

#[test]
fn what_exceeds_the_spool_is_lost_oldest_first_and_counted_to_the_row() {
    let scene = Scene::new();
    scene.server.state().forbidden = true;
    // An object of a few rows takes one block of the disk.
    let delivery = Delivery::open(&scene.state(), 4 * 4096, flowlog::Access::default())
        .unwrap()
        .in_place();
    let mut collector = Collector::new(vec![scene.spec()], delivery);
    for n in 0..10 {
        close(&mut collector, n, n as u16 + 1);
    }
    let before = status(&collector);
    assert_eq!(before.backlog.files, 4);
    assert_eq!(before.backlog.rows, 7 + 8 + 9 + 10);
    assert_eq!(
        (before.lost.files, before.lost.rows),
        (6, 1 + 2 + 3 + 4 + 5 + 6)
    );
    assert_eq!(before.rows_lost, before.lost.rows);
    scene.server.state().forbidden = false;
    collector.reconfigure(vec![scene.spec()], &Lab::new());
    let stored = scene.server.state().stored.clone();
    assert_eq!(stored, (6..10).map(key).collect::<Vec<_>>());
    assert_eq!(status(&collector).rows, before.backlog.rows);
}

#[test]
fn a_great_object_goes_in_parts_and_a_failure_between_them_leaves_nothing() {
    let mut scene = Scene::new();
    scene.bucket.timeout = Duration::from_secs(20);
    let spec = LoggerSpec {
        layout: flowlog::Layout {
            rows_per_file: std::num::NonZeroU32::MAX,
            ..Default::default()
        },
        ..scene.spec()
    };
    let mut collector = remembering(std::slice::from_ref(&spec), &scene.state());
    // Refused after the upload was begun: the second request of the object.
    let faults = [
        Fault::Slow(Duration::ZERO),
        Fault::Status(403, "AccessDenied"),
    ];
    scene.server.state().faults.extend(faults);
    const ROWS: u32 = 60_000;
    for flow in 0..ROWS {
        let tuple = tuple(17, flow as u16, (flow >> 16) as u16);
        collector.observe(minute(0), &Lab::new(), &sent(tuple, ACCEPT, packets(1)));
    }
    collector.close(minute(0), &Lab::new(), &[]);
    assert_eq!(status(&collector).state, State::Error);
    assert!(scene.server.state().objects.is_empty());
    assert_eq!(scene.server.state().uploads_left(), 0);
    collector.reconfigure(vec![spec], &Lab::new());
    let state = scene.server.state();
    let body = &state.objects[&key(0)];
    assert!(body.len() > 8 << 20, "{}", body.len());
    let rows = body.split(|byte| *byte == b'\n').count() - 2;
    assert_eq!(rows, ROWS as usize);
}

#[test]
fn secrets_are_read_when_they_are_used_so_that_renewed_ones_need_no_restart() {
    let scene = Scene::new();
    let mut collector = scene.collector();
    fs::write(scene.dir.path().join("secret"), "old").unwrap();
    close(&mut collector, 0, 1);
    assert_eq!(status(&collector).store, Some(Cause::Credentials));
    fs::write(scene.dir.path().join("secret"), SECRET).unwrap();
    close(&mut collector, 1, 1);
    assert!(scene.server.state().stored.contains(&key(1)));
}

/// A logger of the same id that writes into a directory.
fn moved(scene: &Scene) -> LoggerSpec {
    logger(1, scene.dir.path())
}

/// The log's objects in the order in which they were stored, without probes.
fn logs_stored(scene: &Scene) -> Vec<String> {
    let stored = scene.server.state().stored.clone();
    let is_log = |key: &String| !key.contains("_vswitch_probe_");
    stored.into_iter().filter(is_log).collect()
}

#[test]
fn what_waits_when_a_logger_moves_goes_where_it_was_collected_for() {
    let scene = Scene::new();
    let down = Fault::Status(503, "ServiceUnavailable");
    scene.server.state().always = Some(down);
    let mut collector = scene.collector();
    close(&mut collector, 0, 1);
    let o = sent(udp(9, 53), ACCEPT, packets(1));
    collector.observe(minute(1), &Lab::new(), &o);
    let directory = LoggerSpec {
        fields: vec![flowlog::Field::Packets],
        ..moved(&scene)
    };
    let flushed = collector.reconfigure(vec![directory.clone()], &Lab::new());
    assert_eq!(flushed.len(), 1);
    close(&mut collector, 1, 1);
    let waiting = status(&collector).backlog.files;
    assert_eq!(waiting, 2, "for the bucket");
    assert_eq!(tree(root(&directory)).len(), 1, "what is of after the move");
    scene.server.state().always = None;
    collector.reconfigure(vec![directory.clone()], &Lab::new());
    let stored = scene.server.state().stored.clone();
    assert_eq!(stored, [key(0), key(1)]);
    let status = status(&collector);
    assert_eq!((status.backlog.files, status.files, status.rows), (0, 3, 3));
    assert_eq!(status.state, State::Active);
}

#[test]
fn a_restart_after_a_move_delivers_what_waits_where_it_was_collected_for() {
    let scene = Scene::new();
    scene.server.state().always = Some(Fault::Status(503, "ServiceUnavailable"));
    let mut collector = scene.collector();
    close(&mut collector, 0, 1);
    drop(collector);
    scene.server.state().always = None;
    // Nothing says any more how the bucket is reached.
    let collector = remembering(&[moved(&scene)], &scene.state());
    let told = status(&collector);
    assert_eq!((told.state, told.backlog.files), (State::Error, 1));
    let cause = told.cause.unwrap();
    let place = format!("what waits for s3://{BUCKET}/lab/a: object_storage");
    assert!(cause.starts_with(&place), "{cause}");
    drop(collector);
    let other = LoggerSpec {
        storage: Storage::Bucket(Bucket {
            prefix: "lab/b".into(),
            ..scene.bucket.clone()
        }),
        ..logger(2, scene.dir.path())
    };
    let collector = remembering(&[moved(&scene), other], &scene.state());
    assert_eq!(logs_stored(&scene), [key(0)]);
    assert_eq!(status(&collector).backlog.files, 0);
    assert_eq!(tree(root(&moved(&scene))).len(), 0);
}

#[test]
fn what_the_old_store_has_no_place_for_follows_its_logger_unless_the_columns_are_others() {
    for (columns_change, followed) in [(false, 1), (true, 0)] {
        let mut scene = Scene::new();
        scene.bucket.name = "mistyped".into();
        let mut collector = scene.collector();
        close(&mut collector, 0, 1);
        assert_eq!(status(&collector).store, Some(Cause::Missing));
        let mut corrected = scene.spec();
        corrected.storage = Storage::Bucket(Bucket {
            name: BUCKET.into(),
            ..scene.bucket.clone()
        });
        if columns_change {
            corrected.fields = vec![flowlog::Field::Packets];
        }
        collector.reconfigure(vec![corrected], &Lab::new());
        assert_eq!(logs_stored(&scene).len(), followed);
        let status = status(&collector);
        assert_eq!(status.backlog.files, 1 - followed as u64);
        if columns_change {
            let cause = status.cause.unwrap();
            assert!(
                cause.contains("what waits for s3://mistyped/lab/a"),
                "{cause}"
            );
        }
    }
}

#[test]
fn a_refusal_by_the_old_store_after_a_move_sends_nothing_to_the_new_one() {
    for (status, code) in [(403, "AccessDenied"), (400, "InvalidRequest")] {
        let scene = Scene::new();
        scene.server.state().always = Some(Fault::Status(status, code));
        let mut collector = scene.collector();
        close(&mut collector, 0, 1);
        let directory = moved(&scene);
        collector.reconfigure(vec![directory.clone()], &Lab::new());
        close(&mut collector, 1, 1);
        let told = self::status(&collector);
        assert_eq!((told.state, told.backlog.files), (State::Error, 1));
        assert_eq!(tree(root(&directory)).len(), 1, "what is of after the move");
        scene.server.state().always = None;
        collector.reconfigure(vec![directory], &Lab::new());
        assert_eq!(logs_stored(&scene), [key(0)]);
        assert_eq!(self::status(&collector).backlog.files, 0);
    }
}

/// Damages the first lines of so many objects of the spool, the oldest first.
fn damage(scene: &Scene, count: usize) {
    let files = fs::read_dir(scene.state().join("spool").join(ID)).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in &files[..count] {
        let mut bytes = fs::read(file).unwrap();
        bytes[0] ^= 1;
        fs::write(file, bytes).unwrap();
    }
}

#[test]
fn damage_in_what_waits_for_one_store_sends_nothing_to_another() {
    for (damaged, stored) in [(1, vec![key(1)]), (2, vec![])] {
        let scene = Scene::new();
        scene.server.state().always = Some(Fault::Status(503, "ServiceUnavailable"));
        let mut collector = scene.collector();
        close(&mut collector, 0, 1);
        close(&mut collector, 1, 1);
        drop(collector);
        scene.server.state().always = None;
        damage(&scene, damaged);
        let mut other = scene.spec();
        other.storage = Storage::Bucket(Bucket {
            prefix: "lab/b".into(),
            ..scene.bucket.clone()
        });
        let collector = remembering(&[other], &scene.state());
        assert_eq!(logs_stored(&scene), stored);
        let status = status(&collector);
        assert_eq!(status.backlog.files, 0);
        assert_eq!(status.rows_lost, damaged as u64);
        let error = status.last_error.unwrap();
        assert!(error.contains("its first line is another"), "{error}");
    }
}

#[test]
fn what_waits_follows_a_corrected_endpoint_and_a_gone_logger_still_delivers() {
    let mut scene = Scene::new();
    let right = scene.bucket.endpoint.clone();
    scene.bucket.endpoint = "http://127.0.0.1:1".into();
    let mut collector = scene.collector();
    close(&mut collector, 0, 1);
    scene.bucket.endpoint = right;
    collector.reconfigure(vec![scene.spec()], &Lab::new());
    assert_eq!(logs_stored(&scene), [key(0)]);

    scene.server.state().forbidden = true;
    close(&mut collector, 1, 1);
    let o = sent(udp(9, 53), ACCEPT, packets(1));
    collector.observe(minute(2), &Lab::new(), &o);
    assert_eq!(collector.reconfigure(vec![], &Lab::new()).len(), 1);
    assert!(collector.status().is_empty());
    scene.server.state().forbidden = false;
    collector.reconfigure(vec![], &Lab::new());
    assert_eq!(logs_stored(&scene), [key(0), key(1), key(2)]);
}

/// Answers every request with success, behind TLS; returns its address.
fn serve_tls() -> String {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
    let certificates = CertificateDer::pem_file_iter(folder.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates.map(Result::unwrap).collect(), key);
    let config = Arc::new(config.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(session, connection);
            let mut buffer = vec![0; 1 << 16];
            // A handshake that fails is the client's to tell.
            if stream.read(&mut buffer).is_ok() {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        }
    });
    address
}

#[test]
fn a_store_behind_tls_is_trusted_by_the_authority_that_is_named_and_by_no_other() {
    let mut scene = Scene::new();
    scene.bucket.endpoint = serve_tls();
    let collector = scene.collector();
    let error = status(&collector).last_error.unwrap();
    assert!(error.contains("with ca_file"), "{error}");
    drop(collector);
    let authority = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls/authority.pem");
    scene.bucket.ca_file = Some(authority);
    let mut collector = scene.collector();
    assert_eq!(status(&collector).state, State::Active);
    close(&mut collector, 0, 3);
    assert_eq!(status(&collector).rows, 3);
    drop(collector);
    scene.bucket.ca_file = Some(scene.dir.path().join("absent.pem"));
    let status = status(&scene.collector());
    assert_eq!(status.state, State::Error);
    assert!(status.cause.unwrap().contains("absent.pem"));
}

/// The bucket's flow logs as `vswitch logs` finds them, and the rows of each.
fn read_bucket(bucket: &Bucket) -> Result<Vec<(String, usize)>, ObjectError> {
    let objects = Objects::new(bucket)?;
    let listing = objects.list(usize::MAX, |_| {})?;
    assert!(!listing.is_cut);
    let rows = |object: &Object| {
        let rows = objects.open(object)?.map(Result::unwrap).count();
        Ok((object.key.clone(), rows))
    };
    listing.objects.iter().map(rows).collect()
}

#[test]
fn what_was_delivered_is_read_back_page_by_page_and_nothing_else() {
    let scene = Scene::new();
    let mut collector = scene.collector();
    for n in 0..5 {
        close(&mut collector, n, n as u16 + 1);
    }
    for other in ["lab/a/_vswitch_probe_x", "lab/a/notes.txt", "lab/ab/a.csv"] {
        let mut state = scene.server.state();
        state.objects.insert(other.into(), b"other".to_vec());
    }
    let expected: Vec<_> = (0..5).map(|n| (key(n), n as usize + 1)).collect();
    for lists_by_markers in [false, true] {
        for page in [0, 1, 2, 5] {
            let mut state = scene.server.state();
            (state.page, state.lists_by_markers) = (page, lists_by_markers);
            drop(state);
            assert_eq!(read_bucket(&scene.bucket).unwrap(), expected, "{page}");
        }
    }
    let mut one = scene.bucket.clone();
    one.prefix = key(3);
    assert_eq!(read_bucket(&one).unwrap(), expected[3..4]);
    let listing = Objects::new(&scene.bucket)
        .unwrap()
        .list(2, |_| {})
        .unwrap();
    assert_eq!((listing.objects.len(), listing.is_cut), (2, true));
}

#[test]
fn every_format_is_read_back_from_a_bucket() {
    use flowlog::Compression::{Gzip, Raw, Zstd};
    use flowlog::Format::{Csv, Parquet};
    for format in [Csv(Gzip), Csv(Zstd), Parquet(Raw), Parquet(Zstd)] {
        let scene = Scene::new();
        let mut spec = scene.spec();
        spec.format = format;
        let mut collector = remembering(&[spec], &scene.state());
        close(&mut collector, 0, 7);
        let rows: Vec<_> = read_bucket(&scene.bucket).unwrap();
        assert_eq!(rows.iter().map(|(_, rows)| rows).sum::<usize>(), 7);
    }
}

#[test]
fn a_bucket_that_cannot_be_read_says_why() {
    let scene = Scene::new();
    let told = |change: fn(&Scene, &mut Bucket)| {
        let mut bucket = scene.bucket.clone();
        change(&scene, &mut bucket);
        let error = Objects::new(&bucket).and_then(|objects| objects.list(1, |_| {}));
        let error = error.unwrap_err();
        assert!(!error.to_string().contains(SECRET));
        (error.cause, error.to_string())
    };
    let (cause, text) = told(|_, bucket| bucket.name = "absent".into());
    assert_eq!(cause, Cause::Missing, "{text}");
    let (cause, text) = told(|_, bucket| bucket.access_key = bucket.secret_key.clone());
    assert_eq!(cause, Cause::Credentials, "{text}");
    let (cause, text) = told(|_, bucket| bucket.region = "KR2".into());
    assert_eq!(cause, Cause::Refused, "{text}");
    let (cause, text) = told(|_, bucket| bucket.endpoint = "http://127.0.0.1:1".into());
    assert_eq!(cause, Cause::Unreachable, "{text}");
    let (cause, text) = told(|scene, _| scene.server.state().unreadable = true);
    assert_eq!(cause, Cause::Permission, "{text}");
    assert!(text.contains("may not list and read"), "{text}");
}

#[test]
fn a_store_that_stumbles_is_asked_again_when_it_is_read() {
    let scene = Scene::new();
    close(&mut scene.collector(), 0, 1);
    let faults = [Fault::Status(503, "SlowDown"), Fault::LostAnswer];
    scene.server.state().faults.extend(faults);
    assert_eq!(read_bucket(&scene.bucket).unwrap(), [(key(0), 1)]);
}

#[test]
fn a_session_token_and_the_encryption_of_a_policy_go_with_what_a_store_takes_them_for() {
    let mut scene = Scene::new();
    let token = scene.dir.path().join("token");
    fs::write(&token, "temporary-1\n").unwrap();
    scene.bucket.session_token = Some(Secret::File(token.clone()));
    scene.bucket.encryption = Some(flowlog::Encryption::Kms {
        key_id: Some("key/1".into()),
    });
    scene.server.state().demanded = vec![
        ("x-amz-security-token", "temporary-1"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "key/1"),
    ];
    let mut collector = scene.collector();
    close(&mut collector, 0, 1);
    assert_eq!(
        status(&collector).state,
        State::Active,
        "{:?}",
        status(&collector).cause
    );
    assert_eq!(status(&collector).files, 1);
    // Renewed, as a rotated file of credentials is: the next object has it.
    fs::write(&token, "temporary-2").unwrap();
    scene.server.state().demanded[0].1 = "temporary-2";
    close(&mut collector, 1, 1);
    assert_eq!(status(&collector).files, 2);
    let mut without = scene.bucket.clone();
    without.encryption = None;
    scene.bucket = without;
    let mut other = remembering(&[scene.spec()], &scene.dir.path().join("other"));
    close(&mut other, 2, 1);
    assert_eq!(status(&other).store, Some(Cause::Permission));
    let told = status(&other).cause.unwrap();
    assert!(!told.contains("temporary"), "{told}");
    // An upload in parts says it once: with a part stores refuse it.
    let mut great = Scene::new();
    great.bucket.encryption = Some(flowlog::Encryption::Aes256);
    great.bucket.timeout = Duration::from_secs(20);
    let mut spec = great.spec();
    spec.layout.rows_per_file = std::num::NonZeroU32::MAX;
    let mut collector = remembering(&[spec], &great.state());
    for flow in 0..60_000_u32 {
        let tuple = tuple(17, flow as u16, (flow >> 16) as u16);
        collector.observe(minute(0), &Lab::new(), &sent(tuple, ACCEPT, packets(1)));
    }
    collector.close(minute(0), &Lab::new(), &[]);
    assert_eq!(status(&collector).state, State::Active);
    assert_eq!(great.server.state().uploads_left(), 0);
    assert!(great.server.state().objects[&key(0)].len() > 8 << 20);
}

#[test]
fn a_refusal_that_comes_before_the_body_was_read_is_told_as_what_it_is() {
    for (status_code, code, cause, words) in [
        (403, "AccessDenied", Cause::Permission, "may not write"),
        (413, "EntityTooLarge", Cause::Refused, "rows_per_file"),
    ] {
        let mut scene = Scene::new();
        let mut spec = scene.spec();
        spec.layout.rows_per_file = std::num::NonZeroU32::MAX;
        // Far more than the buffers of two sockets hold.
        scene.bucket.timeout = Duration::from_secs(20);
        let mut collector = remembering(&[spec], &scene.state());
        scene.server.state().always = Some(Fault::Early(status_code, code));
        for flow in 0..30_000_u32 {
            let o = sent(udp(flow as u16, 53), ACCEPT, packets(1));
            collector.observe(minute(0), &Lab::new(), &o);
        }
        collector.close(minute(0), &Lab::new(), &[]);
        let status = status(&collector);
        assert_eq!(status.store, Some(cause), "{:?}", status.last_error);
        let text = status.cause.unwrap();
        assert!(text.contains(words) && text.contains(code), "{text}");
    }
}
