//! What the daemon's threads share.

use super::clock::Clock;
use super::health::Health;
use super::orders::Orders;
use super::slow::Receivers;
use super::tail::Tail;
use crate::config::Plan;
use crate::lab::Lack;
use crate::switch::{Audit, Switch};
use flowlog::{LoggerStatus, PortInfo};
use parking_lot::{Mutex, MutexGuard, RwLock};
use secgroup::RuleTable;
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// The running switch, as workers, log thread and control socket see it.
#[derive(Debug)]
pub struct Shared {
    /// The switch. Workers take it twice per batch (evaluate, settle), all other threads
    /// for at most 20 µs at a time.
    pub switch: Mutex<Switch>,
    /// Held for reading while a batch is under way: a writer sees every accepted copy settled.
    pub gate: RwLock<()>,
    /// Names of the rules that entries remember.
    pub rules: Arc<RwLock<RuleTable>>,
    /// The configuration in force.
    pub plan: RwLock<Arc<Plan>>,
    /// Who the ports are, by number.
    pub names: RwLock<HashMap<u16, Arc<PortInfo>>>,
    /// What ports do without, by their UUIDs.
    pub lacks: RwLock<HashMap<Uuid, Vec<Lack>>>,
    /// How the loggers are.
    pub loggers: Mutex<Vec<LoggerStatus>>,
    /// The live records.
    pub tail: Tail,
    /// The clocks.
    pub clock: Clock,
    /// How the threads are.
    pub health: Arc<Health>,
    /// Guests whose network stack is slow.
    pub receivers: Receivers,
    /// What the thread that owns the daemon is asked to do.
    pub orders: Orders,
    /// One audit at a time.
    pub(super) auditing: Mutex<()>,
}

impl Shared {
    /// Works on the switch for at most 20 µs under its lock: one slice of something longer.
    ///
    /// Afterwards the lock is handed to a worker that waits for it, if one does, so that none waits for
    /// more than one slice. Yielding the processor instead would cost the caller, after every slice, the
    /// turns of everything else that wants to run.
    pub fn slice<T>(&self, work: impl FnOnce(&mut Switch) -> T) -> T {
        let mut switch = self.switch.lock();
        let result = work(&mut switch);
        MutexGuard::unlock_fair(switch);
        result
    }

    /// Balances the conservation identity. The table is summed in slices; only the last one, a few
    /// microseconds, waits until no batch is under way.
    pub fn audit(&self) -> Audit {
        let _one = self.auditing.lock();
        self.switch.lock().audit_begin();
        while self.slice(Switch::audit_slice) {}
        // From here on no batch begins: a writer that waits goes before readers that come later.
        let _between_batches = self.gate.write();
        self.switch.lock().audit_finish()
    }
}
