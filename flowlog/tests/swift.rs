//! The whole way into OpenStack Swift with its S3 door, started by the test on the loopback.
//!
//! Needs root and the Debian packages swift-proxy, swift-account, swift-container, swift-object and
//! memcached (`--no-install-recommends`); where they are absent the test says so and ends.
#![allow(clippy::unwrap_used, reason = "a test may stop")]
#![allow(unreachable_pub, reason = "the support is for other tests as well")]

mod support;
#[path = "support/swift.rs"]
mod swift;

use flowlog::{Bucket, Cause, Collector, LoggerSpec, LoggerStatus, Secret, State, Storage};
use std::{fs, time::Duration};
use support::*;
use swift::{CONTAINER, KEY, REGION, Swift, USER, absent};

fn close(collector: &mut Collector, n: u64, flows: u32) {
    for flow in 0..flows {
        let o = sent(
            tuple(17, flow as u16, (flow >> 16) as u16),
            ACCEPT,
            packets(1),
        );
        collector.observe(minute(n), &Lab::new(), &o);
    }
    let closed = collector.close(minute(n), &Lab::new(), &[]);
    assert!(closed.iter().all(|closed| closed.error.is_none()));
}

/// What is wrong with a bucket: it may take a secret that is wrong.
type Change = fn(&mut Bucket, Secret);

/// A logger with this key and bucket, and how it fares after an interval.
fn trouble(dir: &TempDir, bucket: Bucket) -> LoggerStatus {
    let spec = LoggerSpec {
        storage: Storage::Bucket(bucket),
        ..logger(2, dir.path())
    };
    let state = tempfile::tempdir_in(dir.path()).unwrap();
    let mut collector = remembering(&[spec], state.path());
    close(&mut collector, 0, 1);
    collector.status().remove(0)
}

#[test]
fn openstack_swift_gets_every_file_and_says_what_is_wrong() {
    if let Some(reason) = absent() {
        return println!("skipped: {reason}");
    }
    let (swift, dir) = (Swift::start(), TempDir::new().unwrap());
    let (token, account) = swift.token().unwrap();
    let container = format!("{account}/{CONTAINER}");

    let secret = |name: &str, text: &str| {
        fs::write(dir.path().join(name), text).unwrap();
        Secret::File(dir.path().join(name))
    };
    let bucket = Bucket {
        endpoint: format!("http://127.0.0.1:{}", swift.port),
        region: REGION.into(),
        path_style: true,
        name: CONTAINER.into(),
        prefix: "lab".into(),
        access_key: secret("access", USER),
        secret_key: secret("secret", KEY),
        session_token: None,
        encryption: None,
        ca_file: None,
        timeout: Duration::from_secs(20),
    };
    let spec = LoggerSpec {
        storage: Storage::Bucket(bucket.clone()),
        layout: flowlog::Layout {
            rows_per_file: std::num::NonZeroU32::MAX,
            ..Default::default()
        },
        ..logger(1, dir.path())
    };
    let mut collector = remembering(&[spec], &dir.path().join("state"));
    assert_eq!(
        collector.status()[0].state,
        State::Active,
        "{}",
        swift.logs()
    );
    close(&mut collector, 0, 10);
    // Great enough for an upload in parts.
    close(&mut collector, 1, 60_000);
    let status = &collector.status()[0];
    assert_eq!(
        (status.files, status.rows, &status.cause),
        (2, 60_010, &None)
    );

    // Read by Swift's own door, which knows nothing of S3.
    let (_, listing) = swift.call("GET", &container, &token);
    let listing = String::from_utf8(listing).unwrap();
    let names: Vec<&str> = listing.lines().collect();
    assert_eq!(names.len(), 2, "{listing}");
    for (name, rows) in names.iter().zip([10, 60_000]) {
        assert!(name.starts_with("lab/2026/11/23/05/") && name.ends_with(".csv"));
        let (status, body) = swift.call("GET", &format!("{container}/{name}"), &token);
        assert_eq!(status, 200);
        let lines = body.split(|byte| *byte == b'\n').count() - 1;
        assert_eq!(lines, rows + 1, "{name}");
    }

    // And by the same door as they came in.
    let objects = flowlog::Objects::new(&bucket).unwrap();
    let listing = objects.list(usize::MAX, |_| {}).unwrap();
    let rows = listing.objects.iter().map(|object| {
        let rows = objects.open(object).unwrap();
        rows.map(Result::unwrap).count()
    });
    assert_eq!(rows.collect::<Vec<_>>(), [10, 60_000]);

    let wrong = |change: Change| {
        let mut bucket = bucket.clone();
        change(&mut bucket, secret("wrong", "wrong"));
        trouble(&dir, bucket)
    };
    let cases: [(Cause, Change); 4] = [
        (Cause::Credentials, |bucket, wrong| {
            bucket.secret_key = wrong;
        }),
        (Cause::Credentials, |bucket, wrong| {
            bucket.access_key = wrong;
        }),
        (Cause::Missing, |bucket, _| bucket.name = "absent".into()),
        (Cause::Refused, |bucket, _| bucket.region = "KR2".into()),
    ];
    for (cause, change) in cases {
        let status = wrong(change);
        assert_eq!(
            (status.state, status.store),
            (State::Error, Some(cause)),
            "{status:?}"
        );
        assert_eq!(status.backlog.files, 1);
    }
}
