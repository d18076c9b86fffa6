//! Refused packets in the daemon's own log, at level `trace`: `VSWITCH_LOG=vswitch::refusals=trace`.

use super::shared::Shared;
use crate::switch::{Refusal, Switch};
use packet::Verdict;

/// Target of the messages: what the environment's filter names.
const TARGET: &str = "vswitch::refusals";

/// Refused packets between the switch's lock and the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusals {
    is_on: bool,
}

impl Refusals {
    /// Has the switch keep refused packets if the log takes them.
    pub(super) fn watch(shared: &Shared) -> Self {
        let is_on = tracing::enabled!(target: TARGET, tracing::Level::TRACE);
        if is_on {
            shared.switch.lock().keep_refusals();
        }
        Self { is_on }
    }

    /// What was refused since the last call, taken under the lock that the caller holds.
    #[inline]
    pub(super) fn take(self, switch: &mut Switch) -> (Vec<Refusal>, u64) {
        if self.is_on {
            switch.take_refusals()
        } else {
            (Vec::new(), 0)
        }
    }

    /// Logs what was taken. The switch's lock must be free: this formats.
    #[inline]
    pub(super) fn log(self, shared: &Shared, (refusals, lost): (Vec<Refusal>, u64)) {
        if refusals.is_empty() {
            return;
        }
        let names = shared.names.read();
        for refusal in refusals {
            let verdict = Verdict::Drop(refusal.reason);
            let port = names.get(&refusal.port.0).map(|info| info.name.as_str());
            let (port, direction) = (port.unwrap_or("?"), refusal.direction);
            match refusal.headers {
                Some(headers) => {
                    tracing::trace!(target: TARGET, "{verdict} {direction} at {port}: {headers:#}");
                }
                None => {
                    tracing::trace!(target: TARGET, "{verdict} {direction} at {port}: a frame of fewer than 14 bytes");
                }
            }
        }
        if lost > 0 {
            tracing::trace!(target: TARGET, lost, "more packets were refused in this batch");
        }
    }
}
