//! What changes with the loggers, told once each in the daemon's own log.

use flowlog::{Delivery, LoggerStatus, State};
use std::collections::HashMap;
use uuid::Uuid;

/// What was told of each logger last.
#[derive(Debug, Default)]
pub(super) struct Watch {
    told: HashMap<Uuid, (State, u64)>,
}

impl Watch {
    /// Tells what is new: a state that changed, rows that were lost.
    pub(super) fn look(&mut self, loggers: &[LoggerStatus]) {
        for logger in loggers {
            let (state, rows_lost) = self
                .told
                .get(&logger.id)
                .copied()
                .unwrap_or((State::Build, 0));
            if logger.state != state {
                tell_state(logger, state);
            }
            if logger.rows_lost > rows_lost {
                let rows = logger.rows_lost - rows_lost;
                tracing::error!(logger = %logger.name, rows, "rows of the flow log are lost");
            }
            self.told
                .insert(logger.id, (logger.state, logger.rows_lost));
        }
        self.told
            .retain(|id, _| loggers.iter().any(|logger| logger.id == *id));
    }
}

fn tell_state(logger: &LoggerStatus, before: State) {
    let waiting = logger.backlog.files;
    match (&logger.cause, logger.state) {
        (Some(cause), State::Error) => {
            tracing::error!(logger = %logger.name, waiting, "the flow log is not delivered: {cause}");
        }
        _ if before == State::Error => {
            tracing::info!(logger = %logger.name, waiting, "the flow log is delivered again");
        }
        _ => {}
    }
}

/// Tells what an earlier process left: what only its memory held, and what waits of loggers that are
/// not configured any more.
pub(super) fn tell_recovered(delivery: &Delivery, loggers: &[flowlog::LoggerSpec]) {
    for logger in loggers {
        if let Some(lost) = delivery.interrupted(logger.id) {
            tracing::warn!(
                logger = %logger.name,
                since = %utc(lost.since_s),
                interval = %utc(lost.window.start_s),
                interval_s = lost.window.length_s,
                "the switch ended without its final flush: what it observed since then was only in memory"
            );
        }
    }
    let known: Vec<Uuid> = loggers.iter().map(|logger| logger.id).collect();
    for (logger, backlog) in delivery.unclaimed(&known) {
        tracing::warn!(
            %logger,
            files = backlog.files,
            rows = backlog.rows,
            folder = %delivery.spool_folder().display(),
            "files of a logger that is not configured wait in the spool"
        );
    }
}

/// A moment as people read it.
fn utc(seconds: u64) -> String {
    let moment = i64::try_from(seconds)
        .ok()
        .map(jiff::Timestamp::from_second);
    match moment {
        Some(Ok(moment)) => moment.to_string(),
        _ => seconds.to_string(),
    }
}
