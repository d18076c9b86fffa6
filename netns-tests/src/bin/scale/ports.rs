//! A thousand ports on one switch: how long until it answers, what it costs while nothing happens, how long
//! until it is gone.

use crate::{
    Options, probe,
    report::{Figure, Report, figure},
    two_guests,
};
use anyhow::{Result, ensure};
use netns_tests::Crowd;
use std::time::{Duration, Instant};

/// Goals of TARGETS: with 1,000 ports, and idle with 100.
const START_S: f64 = 5.0;
const IDLE_PERCENT: f64 = 0.5;
const IDLE_MIB: f64 = 40.0;

/// What is started.
struct Case {
    ports: u32,
    apart: bool,
    io: &'static str,
    workers: u32,
}

const fn case(ports: u32, apart: bool, io: &'static str, workers: u32) -> Case {
    Case {
        ports,
        apart,
        io,
        workers,
    }
}

const CASES: [Case; 7] = [
    case(100, false, "read_write", 1),
    case(100, false, "io_uring", 1),
    case(1000, false, "read_write", 1),
    case(1000, false, "read_write", 2),
    case(1000, false, "io_uring", 1),
    case(1000, false, "io_uring", 2),
    case(1000, true, "read_write", 1),
];

pub(crate) fn measure(options: &Options, report: &mut Report) -> Result<()> {
    for case in &CASES {
        let place = if case.apart {
            "a namespace each"
        } else {
            "one namespace"
        };
        let subject = format!(
            "{} ports in {place}, {}, workers: {}",
            case.ports, case.io, case.workers
        );
        report.add(
            "ports",
            &subject,
            &case.measure(Duration::from_secs(options.idle))?,
        );
    }
    Ok(())
}

impl Case {
    fn measure(&self, idle: Duration) -> Result<Vec<Figure>> {
        let crowd = Crowd {
            apart: self.apart,
            // Beside the two guests.
            ..Crowd::new(self.ports - 2, &["open"])
        };
        let top = format!("io: {}\nworkers: {}", self.io, self.workers);
        let mut lab = two_guests().crowd(crowd).top(&top).prepare();
        let start = Instant::now();
        lab.start_daemon();
        let started = start.elapsed();
        let rows = lab.show("ports");
        let rows = rows.as_array().cloned().unwrap_or_default();
        let up = rows.iter().filter(|row| row["up"] == true).count();
        ensure!(
            up == self.ports as usize,
            "{up} of {} ports are up",
            self.ports
        );
        // What new interfaces have to say is said.
        std::thread::sleep(Duration::from_secs(2));
        let percent = probe::cpu_percent(lab.daemon(), idle);
        let (mib, files) = (
            probe::resident_mib(lab.daemon()),
            probe::open_files(lab.daemon()),
        );
        let stop = Instant::now();
        lab.end();
        let figures = [
            figure("start, until it answers", started.as_secs_f64(), "s").at_most(START_S),
            figure("idle: processor time of one core", percent, "%"),
            figure("idle: resident", mib, "MiB"),
            figure("open files", files as f64, ""),
            figure("stop", stop.elapsed().as_secs_f64(), "s"),
        ];
        let with_goals = figures.into_iter().enumerate();
        let with_goals = with_goals.map(|(place, figure)| match (self.ports, place) {
            (100, 1) => figure.at_most(IDLE_PERCENT),
            (100, 2) => figure.at_most(IDLE_MIB),
            _ => figure,
        });
        Ok(with_goals.collect())
    }
}
