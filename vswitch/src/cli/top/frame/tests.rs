//! Frames of two samples, as text and on a screen.

use super::super::sample::Sample;
use super::super::view;
use super::*;
use crate::control::{Counted, DropRow, FlowRow, Listing, StatusRow};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::time::Instant;
use uuid::Uuid;

fn port(name: &str, rx: u64, tx: u64) -> PortRow {
    PortRow {
        name: name.to_owned(),
        id: Uuid::from_u128(name.bytes().map(u128::from).sum()),
        instance: name.to_owned(),
        subnet: "app".to_owned(),
        uplink: false,
        mac: String::new(),
        addresses: Vec::new(),
        security_groups: Vec::new(),
        up: name != "vm3",
        rx,
        rx_bytes: rx * 1000,
        tx,
        tx_bytes: tx * 1000,
        drops: 0,
        tx_lost: 0,
        tx_over_share: 0,
        write_ns: None,
        threaded: false,
        skipped: 0,
        connections: 0,
        missing: Vec::new(),
        connections_max: 100,
    }
}

fn drop_of(port: &str, reason: &str, packets: u64) -> DropRow {
    DropRow {
        port: port.to_owned(),
        reason: reason.to_owned(),
        is_verdict: true,
        packets,
        meaning: String::new(),
    }
}

fn connection(packets: u32) -> ConnectionRow {
    let counted = |packets| Counted {
        packets,
        bytes: packets * 1000,
    };
    ConnectionRow {
        protocol: "tcp".to_owned(),
        icmp_type: None,
        icmp_id: None,
        source: "10.77.1.11:40000".parse().unwrap(),
        destination: "10.77.1.12:80".parse().unwrap(),
        ports: ["vm1".to_owned(), "vm2".to_owned()],
        state: "established".to_owned(),
        expires_in_s: 9,
        sides: [None, None],
        judged_now: true,
        counted: [counted(packets), counted(packets / 2)],
    }
}

fn refusal(packets: u32) -> FlowRow {
    FlowRow {
        port: "vm2".to_owned(),
        direction: "ingress".to_owned(),
        protocol: "tcp".to_owned(),
        source: "10.77.1.11:40001".parse().unwrap(),
        destination: "10.77.1.12:22".parse().unwrap(),
        tcp_flag: 2,
        packets,
        bytes: 60,
        filter: "DROP".to_owned(),
        reason: "default_deny".to_owned(),
    }
}

/// The `n`th second: everything counts on evenly.
fn sample(start: Instant, n: u64) -> Sample {
    let small = u32::try_from(n).unwrap();
    let logger = serde_json::json!({
        "name": "archive", "id": Uuid::nil(), "status": "ERROR", "cause": "no\u{1b}[31m answer", "files": 1, "rows": 2,
        "rows_lost": 0, "files_lost": 0, "waiting_files": 3, "waiting_bytes": 4000, "skipped_packets": 0,
    });
    Sample {
        at: start + Duration::from_secs(n),
        status: StatusRow {
            version: "0.1.0".to_owned(),
            uptime_s: 100 + n,
            connections: 1,
            connections_max: 1024,
            window_age_ms: 30_000 + n * 1000,
            messages_lost: 0,
            messages_cause: None,
        },
        ports: Listing::all(vec![
            port("vm1", n * 100, n * 10),
            port("vm2", n * 10, n * 100),
            port("vm3", 5, 5),
        ]),
        drops: Listing::all(vec![
            drop_of("vm2", "default_deny", n * 7),
            drop_of("vm2", "invalid", n * 2),
        ]),
        connections: Listing::all(vec![connection(small * 100)]),
        flows: Listing::all(vec![refusal(small * 7)]),
        loggers: Listing::all(vec![serde_json::from_value(logger).unwrap()]),
    }
}

fn history() -> History {
    let start = Instant::now();
    let mut history = History::new(sample(start, 1));
    history.add(sample(start, 2));
    history
}

fn row(section: &Section, n: usize) -> Vec<&str> {
    section.table.rows()[n].iter().map(Cell::text).collect()
}

#[test]
fn rates_are_what_two_samples_differ_by() {
    let frame = Frame::of(&history(), Sort::Bits);
    let [ports, flows, refused] = &frame.sections;
    assert_eq!(
        row(ports, 0),
        ["vm1", "100", "800.0k", "10", "80.0k", "0", ""]
    );
    assert_eq!(
        row(ports, 1),
        ["vm2", "10", "80.0k", "100", "800.0k", "9", "default_deny"]
    );
    assert_eq!(row(ports, 2)[0], "vm3 (down)");
    assert_eq!(
        row(flows, 0),
        [
            "tcp 10.77.1.11:40000 > 10.77.1.12:80",
            "800.0k",
            "400.0k",
            "150"
        ]
    );
    assert_eq!(
        row(refused, 0),
        [
            "0s",
            "vm2",
            "ingress",
            "tcp 10.77.1.11:40001 > 10.77.1.12:22",
            "default_deny",
            "14"
        ]
    );
    let header: Vec<_> = frame.header.iter().map(Cell::text).collect();
    assert_eq!(
        header,
        [
            "vswitch 0.1.0  up 1m 42s  ports 2 of 3 up  connections 1 of 1024",
            "rx 110 packets/s 880.0k bit/s  tx 110 packets/s 880.0k bit/s  drops 9/s",
            "loggers 1 ERROR; 3 files, 4 KiB wait; 0 rows lost",
            "archive: no\\u{1b}[31m answer",
        ]
    );
}

#[test]
fn ports_are_sorted_by_what_the_key_has_chosen() {
    let first = |sort| row(&Frame::of(&history(), sort).sections[0], 0)[0].to_owned();
    assert_eq!(first(Sort::Drops), "vm2");
    assert_eq!(first(Sort::Name), "vm1");
}

#[test]
fn before_there_are_two_samples_no_rate_is_invented() {
    let frame = Frame::of(&History::new(sample(Instant::now(), 1)), Sort::Bits);
    assert_eq!(
        row(&frame.sections[0], 0),
        ["vm1", "-", "-", "-", "-", "-", ""]
    );
    assert_eq!(frame.sections[1].nothing, "being measured");
}

#[test]
fn a_daemon_that_was_started_anew_is_measured_anew_and_a_window_that_closed_takes_nothing_back() {
    let mut history = history();
    let mut next = sample(history.now.at, 1);
    next.status.uptime_s = history.now.status.uptime_s + 1;
    next.status.window_age_ms = 500;
    next.connections.rows[0] = connection(30);
    next.flows.rows[0] = refusal(1);
    history.add(next);
    let frame = Frame::of(&history, Sort::Bits);
    assert_eq!(row(&frame.sections[1], 0)[1..], ["480.0k", "240.0k", "90"]);
    assert_eq!(row(&frame.sections[2], 0)[5], "15");
    let mut anew = sample(history.now.at, 1);
    anew.status.uptime_s = 0;
    history.add(anew);
    assert!(history.ports().is_none());
}

#[test]
fn a_refusal_is_forgotten_a_minute_after_its_last_packet() {
    let mut history = history();
    let (last, flows) = (history.now.at, history.now.flows.clone());
    for (after, rows) in [(59, 1), (60, 0)] {
        let mut later = sample(last, after);
        later.flows = flows.clone();
        history.add(later);
        assert_eq!(history.refused().len(), rows, "{after} s");
    }
}

/// What a terminal of this size shows, line by line.
fn screen(width: u16, height: u16) -> Vec<String> {
    let frame = Frame::of(&history(), Sort::Bits);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|screen| view::draw(screen, &frame, &"q quit".into()))
        .unwrap();
    let cells = terminal.backend().buffer().content();
    cells
        .chunks(width.into())
        .map(|line| {
            line.iter()
                .map(|cell| cell.symbol())
                .collect::<String>()
                .trim_end()
                .to_owned()
        })
        .collect()
}

#[test]
fn a_screen_of_80_by_24_shows_everything() {
    let lines = screen(80, 24);
    assert_eq!(lines.len(), 24);
    let text = lines.join("\n");
    for part in [
        "up 1m 42s",
        "archive: no\\u{1b}[31m answer",
        "ports by bit/s",
        "vm3 (down)",
        "flows by bit/s",
        "800.0k",
        "refused lately",
        "default_deny",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(lines[23], "q quit");
}

#[test]
fn no_size_of_a_screen_is_too_small_or_too_large() {
    for (width, height) in [(1, 1), (3, 2), (20, 5), (40, 10), (300, 100)] {
        let lines = screen(width, height);
        assert_eq!(lines.len(), usize::from(height));
    }
    assert!(
        screen(40, 10)
            .join("\n")
            .contains("ports by bit/s (1 of 3)")
    );
}

/// The `n`th second with this many refused packets counted, of which no flow is listed any more.
fn refusing(start: Instant, n: u64, packets: u64) -> Sample {
    Sample {
        drops: Listing::all(vec![drop_of("vm2", "default_deny", packets)]),
        flows: Listing::all(Vec::new()),
        ..sample(start, n)
    }
}

#[test]
fn that_nothing_was_refused_is_said_only_for_the_time_that_the_counters_vouch_for() {
    let start = Instant::now();
    let said = |samples: &[(u64, u64)]| {
        let mut samples = samples
            .iter()
            .map(|&(n, packets)| refusing(start, n, packets));
        let mut history = History::new(samples.next().unwrap());
        samples.for_each(|sample| history.add(sample));
        refused_section(&history).nothing
    };
    assert_eq!(
        said(&[(1, 0), (2, 0)]),
        "nothing was refused at these ports since they were attached"
    );
    assert_eq!(
        said(&[(1, 75), (2, 75)]),
        "nothing was refused in the last 1s; 75 packets were refused before: \
         vswitch logs --verdict DROP, vswitch show drops"
    );
    // Refused and closed between two looks.
    assert!(
        said(&[(1, 0), (2, 3)])
            .starts_with("3 packets were refused in the last 1s, of which no flow")
    );
    // A port went, and its counters with it.
    assert!(said(&[(1, 9), (2, 4)]).contains("not known"));
    assert!(said(&[(1, 9), (2, 9), (80, 9)]).starts_with("nothing was refused in the last 1m 18s"));
}
