//! The log thread's half: every logger with its open intervals.
//!
//! A logger has its own intervals, so none can disturb another. An interval opens with the first
//! thing observed in it and closes with a base window whose successor lies outside it: at its end, or
//! where the clock steps out of it, forward or back. Two may be open at once: the sweep that ends a
//! window is still under way when the next one's first connections end. An interval that the clock
//! enters again gets a further file.

mod deliver;
mod logger;
mod outlet;
mod status;

pub use deliver::DeliveryError;
pub use status::{LoggerStatus, State};

use crate::{
    Bucket, Delivery, Limits, LoggerSpec, Observation, PortInfo, Ports, Record, Skipped, Storage,
    Window, base_window_s,
};
use logger::Logger;
use outlet::Left;
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

/// Records of one closed interval that the live tail gets at most.
pub const TAIL_RECORDS_MAX: usize = 65_536;

/// Owns the loggers and their open intervals; lives on the log thread.
pub struct Collector {
    loggers: Vec<Logger>,
    delivery: Delivery,
    /// Couriers of loggers that are gone or go elsewhere now, with objects to deliver yet.
    left: Vec<Left>,
    /// Length of the base window before a reload changed it: the one that was open then is cut short.
    cut_s: Option<u32>,
    /// Since when observations of loggers without an open interval are in memory alone.
    marked_s: Option<u64>,
    /// Since when anything is observed, UNIX seconds.
    began_s: Option<u64>,
    limits: Limits,
    tail: bool,
}

/// What became of one interval of one logger.
#[derive(Debug)]
pub struct Closed {
    /// The logger's name.
    pub logger: Arc<str>,
    /// The interval.
    pub window: Window,
    /// Where its files are, or will be once the store has them: paths or addresses, in order of
    /// their parts.
    pub files: Vec<PathBuf>,
    /// Rows in these files, headers not counted; of messages, the records handed over.
    pub rows: u64,
    /// The records, in order of the rows; the first [`TAIL_RECORDS_MAX`], and only if
    /// [`Collector::keep_records`] asked for them.
    pub records: Vec<Record>,
    /// Why rows are missing, if any are.
    pub error: Option<DeliveryError>,
}

impl Collector {
    /// A collector for these loggers. Begins to deliver what an earlier process left of them, and asks
    /// their stores; what is wrong there is told by [`Self::status`].
    #[must_use]
    pub fn new(specs: Vec<LoggerSpec>, delivery: Delivery) -> Self {
        let limits = Limits::default();
        let mut left = Vec::new();
        let loggers = specs
            .into_iter()
            .map(|spec| Logger::new(spec, limits, &delivery, &mut left))
            .collect();
        let mut collector = Self {
            loggers,
            delivery,
            left,
            cut_s: None,
            marked_s: None,
            began_s: None,
            limits,
            tail: false,
        };
        collector.settle();
        collector
    }

    /// The same with other bounds for the intervals yet to be opened.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self.loggers
            .iter_mut()
            .for_each(|logger| logger.limits = limits);
        self
    }

    /// Whether [`Closed`] carries records, for a live tail.
    pub fn keep_records(&mut self, keep: bool) {
        self.tail = keep;
    }

    /// Says that from `now_s` (UNIX seconds) on something is observed. What a crash would cost begins
    /// here, though the first observation arrives later: entries of the switch hold it until then.
    pub fn begin(&mut self, now_s: u64) {
        self.began_s = Some(now_s);
        self.mark(now_s);
    }

    /// Takes what left an entry in the base window `window`.
    pub fn observe(&mut self, window: Window, ports: &dyn Ports, o: &Observation) {
        if o.tally.is_empty() {
            return;
        }
        if self.marked_s.is_none() {
            self.mark(window.start_s);
        }
        with_port(ports, o.port, |port| {
            self.loggers
                .iter_mut()
                .for_each(|logger| logger.observe(window, ports, port, o));
        });
    }

    /// Ends a base window, of which everything was observed, where the next one follows it.
    pub fn close(
        &mut self,
        window: Window,
        ports: &dyn Ports,
        skipped: &[(u16, Skipped)],
    ) -> Vec<Closed> {
        let next = Window::of(window.end_s(), window.length_s);
        self.close_before(window, next, ports, skipped)
    }

    /// Ends a base window, of which everything was observed, where the clock is in `next` now: the
    /// loggers whose interval does not reach into it write their files. What comes from now on is of
    /// `next` or of windows behind it, so that no interval waits for a time that may never come.
    pub fn close_before(
        &mut self,
        window: Window,
        next: Window,
        ports: &dyn Ports,
        skipped: &[(u16, Skipped)],
    ) -> Vec<Closed> {
        self.note_skipped(window, ports, skipped);
        if self.is_cut(window) {
            // No interval ends with it: it ended with the reload, and what it held stays open.
            self.mark(window.start_s);
            return Vec::new();
        }
        let mut closed = Vec::new();
        for logger in &mut self.loggers {
            for interval in logger.take_due(window, next, &self.delivery.kept) {
                closed.push(logger.deliver(interval, ports, &self.delivery.kept, self.tail));
            }
        }
        self.mark(next.start_s);
        self.settle();
        closed
    }

    /// Whether a base window was ended by a reload that changed its length.
    fn is_cut(&mut self, window: Window) -> bool {
        let is_cut = self.cut_s == Some(window.length_s);
        if !is_cut {
            self.cut_s = None;
        }
        is_cut
    }

    /// The final flush: the open intervals as they are. Those without anything leave no file.
    pub fn finish(
        &mut self,
        window: Window,
        ports: &dyn Ports,
        skipped: &[(u16, Skipped)],
    ) -> Vec<Closed> {
        self.note_skipped(window, ports, skipped);
        let mut closed = Vec::new();
        for logger in &mut self.loggers {
            closed.extend(logger.flush(ports, &self.delivery.kept, self.tail));
        }
        if closed.iter().all(|closed| closed.error.is_none()) {
            // Where it stays, the next start names an interval too many.
            let _ = self.delivery.marks.clear();
        }
        self.marked_s = None;
        closed
    }

    /// Delivers what can be delivered within `patience`, and ends the couriers. What a store does not
    /// take in that time stays in the spool for the next start. Returns how many objects do.
    pub fn shut(mut self, patience: Duration) -> u64 {
        let deadline = Instant::now() + patience;
        for logger in &mut self.loggers {
            logger.outlet.end_by(deadline);
        }
        self.left
            .iter_mut()
            .for_each(|left| left.carrier.end_by(deadline));
        for logger in &mut self.loggers {
            logger.outlet.join(deadline);
        }
        self.left
            .iter_mut()
            .for_each(|left| left.carrier.join(deadline));
        let waiting = self.delivery.unclaimed(&[]);
        waiting.iter().map(|(_, backlog)| backlog.files).sum()
    }

    /// Takes over a new configuration. A logger that stays, by its id, keeps its open interval, unless
    /// it is another one by what it collects, where to, or in what form: what was collected until now
    /// is then written as it was meant to be, as is that of a logger that is gone. `ports` are those of
    /// before the change.
    pub fn reconfigure(&mut self, specs: Vec<LoggerSpec>, ports: &dyn Ports) -> Vec<Closed> {
        let length_s = |loggers: &[Logger]| {
            let specs: Vec<_> = loggers.iter().map(|logger| logger.spec.clone()).collect();
            base_window_s(&specs)
        };
        let before_s = length_s(&self.loggers);
        for left in &mut self.left {
            left.carrier.ask_again();
        }
        let mut old = std::mem::take(&mut self.loggers);
        let (delivery, left) = (&self.delivery, &mut self.left);
        let mut closed = Vec::new();
        for spec in specs {
            let staying = old.iter().position(|logger| logger.spec.id == spec.id);
            self.loggers
                .push(match staying.map(|place| old.remove(place)) {
                    None => Logger::new(spec, self.limits, delivery, left),
                    Some(mut logger) => {
                        if !logger.spec.goes_on_as(&spec) {
                            closed.extend(logger.flush(ports, &delivery.kept, self.tail));
                        }
                        logger.adopt(spec, delivery, left);
                        logger
                    }
                });
        }
        for mut logger in old {
            closed.extend(logger.flush(ports, &delivery.kept, self.tail));
            let Logger { outlet, spec, .. } = &mut logger;
            outlet.leave(spec, left);
        }
        if length_s(&self.loggers) != before_s {
            self.cut_s = Some(before_s);
        }
        self.settle();
        if let Some(marked_s) = self.marked_s {
            self.mark(marked_s);
        }
        closed
    }

    /// Looks after what waits for stores that are not their logger's present ones: a store that has no
    /// place for it passes it on, and what an earlier process left gets a courier.
    fn settle(&mut self) {
        let (delivery, left) = (&self.delivery, &mut self.left);
        let buckets = self
            .loggers
            .iter()
            .filter_map(|logger| bucket(&logger.spec));
        let access: Option<Bucket> = buckets.map(Clone::clone).next();
        for logger in &mut self.loggers {
            for one in left.iter() {
                let queue = one.carrier.queue();
                if queue.logger == logger.spec.id && one.is_to_follow(&logger.spec) {
                    logger.outlet.inherit(queue, delivery);
                }
            }
            for queue in delivery.kept.spool.queues(logger.spec.id) {
                let is_served = logger.outlet.queue() == Some(queue)
                    || left.iter().any(|left| left.carrier.queue() == queue);
                if is_served {
                    continue;
                }
                if queue.is_unplaced() {
                    // An older spool does not say where it belongs.
                    logger.outlet.inherit(queue, delivery);
                } else if delivery.kept.spool.destination(queue).is_none() {
                    logger.lose_damaged(queue, delivery);
                } else {
                    let access = bucket(&logger.spec).or(access.as_ref());
                    let counts = &logger.counts;
                    let spec = &logger.spec;
                    left.extend(Left::of_earlier(queue, spec, access, counts, delivery));
                }
            }
        }
        left.retain(|left| {
            let is_done = left.carrier.is_done();
            if is_done {
                let of = left.carrier.queue().logger;
                let mut loggers = self.loggers.iter_mut();
                if let Some(logger) = loggers.find(|logger| logger.spec.id == of) {
                    logger.note_past(left);
                }
            }
            !is_done
        });
    }

    /// How every logger fares, in order of the configuration.
    #[must_use]
    pub fn status(&self) -> Vec<LoggerStatus> {
        let status = |logger: &Logger| logger.status(&self.delivery, &self.left);
        self.loggers.iter().map(status).collect()
    }

    /// Keeps since when observations are in memory alone: `now_s` for loggers without any. A replay
    /// has no marks: it can be repeated.
    fn mark(&mut self, now_s: u64) {
        self.marked_s = Some(now_s);
        if !self.delivery.on_threads {
            return;
        }
        let up = self
            .loggers
            .iter()
            .filter(|logger| logger.spec.admin_state_up);
        let marks = up.map(|logger| {
            let length_s = logger.spec.interval_s();
            let since_s = logger.open_since_s().map_or(now_s, |start_s| {
                // Of the interval in which this life began, nothing was observed before.
                let began_s = self
                    .began_s
                    .filter(|began_s| Window::of(*began_s, length_s).start_s == start_s);
                began_s.unwrap_or(start_s)
            });
            (logger.spec.id, (since_s, length_s))
        });
        // Where this fails the disk is full or gone, which the spool reports as well; the marks that
        // stay begin earlier.
        let _ = self.delivery.marks.keep(marks.collect());
    }

    fn note_skipped(&mut self, window: Window, ports: &dyn Ports, skipped: &[(u16, Skipped)]) {
        for (port, skipped) in skipped.iter().filter(|(_, skipped)| !skipped.is_none()) {
            with_port(ports, *port, |port| {
                self.loggers
                    .iter_mut()
                    .for_each(|logger| logger.skip(window, port, *skipped));
            });
        }
    }
}

/// Calls `then` with who a port is, be it unknown.
fn with_port(ports: &dyn Ports, port: u16, then: impl FnOnce(&PortInfo)) {
    match ports.get(port) {
        Some(info) => then(info),
        None => then(&PortInfo::unknown(port)),
    }
}

/// The bucket of a logger, if it has one.
const fn bucket(spec: &LoggerSpec) -> Option<&Bucket> {
    match &spec.storage {
        Storage::Bucket(bucket) => Some(bucket),
        Storage::Directory(_) | Storage::Ipfix(_) => None,
    }
}
