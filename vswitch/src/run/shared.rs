//! What the daemon's threads share.

use super::clock::Clock;
use super::tail::Tail;
use crate::config::Plan;
use crate::switch::{Audit, Switch};
use flowlog::{LoggerStatus, PortInfo};
use parking_lot::{Mutex, RwLock};
use secgroup::RuleTable;
use std::collections::HashMap;
use std::sync::Arc;

/// The running switch, as workers, log thread and control socket see it.
#[derive(Debug)]
pub struct Shared {
    /// The switch. Workers take it once per batch, everybody else for at most 20 µs at a time.
    pub switch: Mutex<Switch>,
    /// Held for reading while a batch is under way: a writer sees every accepted copy settled.
    pub gate: RwLock<()>,
    /// Names of the rules that entries remember.
    pub rules: Arc<RwLock<RuleTable>>,
    /// The configuration in force.
    pub plan: RwLock<Arc<Plan>>,
    /// Who the ports are, by number.
    pub names: RwLock<HashMap<u16, Arc<PortInfo>>>,
    /// How the loggers are.
    pub loggers: Mutex<Vec<LoggerStatus>>,
    /// The live records.
    pub tail: Tail,
    /// The clocks.
    pub clock: Clock,
    /// One audit at a time.
    pub(super) auditing: Mutex<()>,
}

impl Shared {
    /// Balances the conservation identity. The table is summed in slices; only the last one, a few
    /// microseconds, waits until no batch is under way.
    pub fn audit(&self) -> Audit {
        let _one = self.auditing.lock();
        self.switch.lock().audit_begin();
        while self.switch.lock().audit_slice() {
            std::thread::yield_now();
        }
        let _between_batches = self.gate.write();
        self.switch.lock().audit_finish()
    }
}
