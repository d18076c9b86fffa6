//! What `vswitch show loggers` tells while stores break and return.

use crate::support::{
    Keys, SECONDS, archived, logger,
    s3::{self, Server},
    start, to_bucket,
};
use netns_tests::{Lab, eventually, within};
use serde_json::Value;
use std::{thread, time::Duration};

/// One datagram from `a` to `b`, so that there is something to log.
fn tick(lab: &Lab) {
    let (a, b) = lab.pair("a", "b");
    a.udp(0).send_to(b"tick", (b.ip(), 53)).unwrap();
}

/// Goes on talking until a logger looks like this.
fn logger_is(lab: &Lab, name: &str, status: &str, store: Option<&str>) -> Value {
    let mut row = Value::Null;
    within(
        Duration::from_secs(30),
        &format!("{name} {status} {store:?}"),
        || {
            tick(lab);
            thread::sleep(Duration::from_millis(50));
            row = logger(lab, name);
            row["status"] == status && row["store"].as_str() == store
        },
    );
    row
}

/// The line of a logger in the table for people.
fn table_line(lab: &Lab, name: &str) -> String {
    let socket = lab.dir().join("control.sock");
    let done = lab.vswitch(&["show", "loggers", "--socket", socket.to_str().unwrap()]);
    let text = done.ok();
    let line = text.lines().find(|line| line.starts_with(name));
    line.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn show_loggers_tells_what_is_wrong_with_a_store_and_when_it_is_well_again() {
    let (server, keys) = (Server::start(), Keys::new(s3::ACCESS, s3::SECRET));
    let plan = archived(&server, &keys)
        .logger(&to_bucket("nowhere", "s3://absent/lab"))
        .logger(&format!("name: local, {SECONDS}"));
    let mut lab = start(plan);
    let row = logger_is(&lab, "archive", "ACTIVE", None);
    assert_eq!(row["last_error"], Value::Null);
    let row = logger_is(&lab, "nowhere", "ERROR", Some("missing"));
    assert!(row["cause"].as_str().unwrap().contains("absent"), "{row}");

    keys.set_secret("wrong");
    let row = logger_is(&lab, "archive", "ERROR", Some("credentials"));
    assert!(row["cause"].as_str().unwrap().contains("secret"), "{row}");
    let line = table_line(&lab, "archive");
    assert!(
        line.contains("ERROR") && line.contains(row["cause"].as_str().unwrap()),
        "{line}"
    );
    keys.set_secret(s3::SECRET);
    lab.reload(|plan| plan);
    let _ = logger_is(&lab, "archive", "ACTIVE", None);

    server.state().forbidden = true;
    let row = logger_is(&lab, "archive", "ERROR", Some("permission"));
    assert!(
        row["cause"].as_str().unwrap().contains("may not write"),
        "{row}"
    );
    server.state().forbidden = false;
    lab.reload(|plan| plan);
    let _ = logger_is(&lab, "archive", "ACTIVE", None);

    server.close();
    let row = logger_is(&lab, "archive", "ERROR", Some("unreachable"));
    assert!(
        row["waiting_files"].as_u64().unwrap() >= 1 && row["waiting_since"].is_u64(),
        "{row}"
    );
    let since = row["waiting_since"].as_u64().unwrap();
    assert!(row["last_interval"].as_u64().unwrap() >= since, "{row}");
    let last = row["last_interval"].as_u64().unwrap();
    server.open();
    // By itself: what does not answer is tried again and again.
    let row = logger_is(&lab, "archive", "ACTIVE", None);
    assert!(row["last_interval"].as_u64().unwrap() > last, "{row}");
    assert_eq!(row["cause"], Value::Null);
    assert!(
        row["last_error"].as_str().unwrap().contains("127.0.0.1"),
        "{row}"
    );
    let line = table_line(&lab, "archive");
    assert!(
        line.contains("ACTIVE") && line.contains("before: "),
        "{line}"
    );

    // Nobody else was touched by all that.
    let row = logger(&lab, "local");
    assert_eq!(
        (&row["status"], &row["last_error"]),
        (&"ACTIVE".into(), &Value::Null)
    );
    let _ = logger_is(&lab, "nowhere", "ERROR", Some("missing"));
    let log = lab.daemon().log();
    for words in [
        "the flow log is not delivered: ",
        "the flow log is delivered again",
    ] {
        assert!(log.matches(words).count() >= 3, "{words}: {log}");
    }
    lab.end();
}

#[test]
fn a_reload_that_changes_nothing_has_a_store_that_refused_asked_again_at_once() {
    let (server, keys) = (Server::start(), Keys::new(s3::ACCESS, s3::SECRET));
    server.state().forbidden = true;
    let mut lab = start(archived(&server, &keys));
    let _ = logger_is(&lab, "archive", "ERROR", Some("permission"));
    server.state().forbidden = false;
    let asked = server.state().asked.len();
    lab.reload(|plan| plan);
    // By itself it would be asked within a minute.
    eventually("a further request", || server.state().asked.len() > asked);
    let _ = logger_is(&lab, "archive", "ACTIVE", None);
    lab.end();
}
