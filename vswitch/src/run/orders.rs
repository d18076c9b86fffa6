//! What the daemon is asked to do by others than its own threads: signals, and clients of the control
//! socket that want a reload. One thread, the daemon's first, takes them one after the other.

use super::Changes;
use super::difference::Difference;
use crate::config::{Notice, Plan};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Who waits for the outcome of a reload.
pub(super) type Answer = Sender<Result<Reloaded, String>>;

/// What the daemon's first thread waits for.
#[derive(Debug)]
pub(super) enum Event {
    /// A signal, by number.
    Signal(i32),
    /// A client wants the configuration read again, and the outcome reported.
    Reload(Answer),
    /// A configuration was read again.
    Read(Box<anyhow::Result<(Plan, Vec<Notice>)>>),
}

/// What a reload changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Ports whose TAP was opened.
    pub attached: usize,
    /// Ports that are gone.
    pub detached: usize,
    /// Ports whose interface was set up anew: MTU, MAC, addresses, routes.
    pub set_up: Vec<String>,
    /// What could not be set, of this reload or of an earlier one.
    pub lacks: Vec<String>,
    /// Number of the policy in force now.
    pub policy_epoch: u16,
    /// What is configured otherwise than before.
    #[serde(flatten)]
    pub difference: Difference,
    /// What is worth knowing about the file.
    pub notices: Vec<String>,
}

impl Reloaded {
    /// Of the changes in the switch, those in the configuration, and the notices of the file.
    pub(super) fn new(changes: Changes, difference: Difference, notices: Vec<String>) -> Self {
        Self {
            lacks: changes
                .lacks
                .iter()
                .map(|(port, lack)| format!("port `{port}`: {lack}"))
                .collect(),
            set_up: changes.changed,
            attached: changes.attached,
            detached: changes.detached,
            policy_epoch: changes.policy_epoch,
            difference,
            notices,
        }
    }
}

/// Where orders are given. Closed until a thread takes them, and after it has ended.
#[derive(Debug, Default)]
pub struct Orders(Mutex<Option<Sender<Event>>>);

impl Orders {
    /// Opens: orders come out here, in their order.
    pub(super) fn open(&self) -> (Sender<Event>, Receiver<Event>) {
        let (sender, receiver) = channel();
        *self.0.lock() = Some(sender.clone());
        (sender, receiver)
    }

    /// Has the configuration read again, and waits until that is done.
    ///
    /// # Errors
    /// Why the configuration in force stays, in words.
    pub fn reload(&self) -> Result<Reloaded, String> {
        let without = || "this switch has no configuration file to read again".to_owned();
        let orders = self.0.lock().clone().ok_or_else(without)?;
        let ends = |_| "the daemon ends; nothing was reloaded".to_owned();
        let (answer, answered) = channel();
        orders.send(Event::Reload(answer)).map_err(|_| ends(()))?;
        drop(orders);
        answered.recv().map_err(|_| ends(()))?
    }
}
