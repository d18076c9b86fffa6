//! A reload: another configuration takes the place of the one in force.
//!
//! Everything is built before the swap: whatever fails until then leaves everything as it was.

use super::aside::aside;
use super::build::{group_names, lab_ports, port_info, switch_config};
use super::log_thread::Message;
use super::worker::Command;
use super::{Daemon, files};
use crate::config::{Plan, Port};
use crate::lab::{LabPort, Lack};
use crate::switch::{Change, Prepared, Switch};
use anyhow::{Context, Result, bail};
use parking_lot::MutexGuard;
use secgroup::PortId;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use uuid::Uuid;

/// How often a worker that is waited for is looked at: whether it still runs.
const LOOK: Duration = Duration::from_millis(100);

/// What a reload has changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Ports that are new.
    pub attached: usize,
    /// Ports that are gone.
    pub detached: usize,
    /// Ports whose interface was set up anew: MTU, MAC, addresses, routes.
    pub changed: Vec<String>,
    /// What could not be set, by the port's name: of this reload, or since an earlier one.
    pub lacks: Vec<(String, Lack)>,
    /// Number of the policy in force now.
    pub policy_epoch: u16,
}

impl Daemon {
    /// Puts another configuration in force: new policy, ports that come and go, loggers.
    ///
    /// # Errors
    /// Whatever cannot be had; then nothing has changed.
    pub fn reload(&mut self, plan: Plan) -> Result<Changes> {
        let old = Arc::clone(&*self.shared.plan.read());
        if let Some(what) = fixed_part(&old, &plan) {
            bail!("`{what}` cannot change while the switch runs; restart it");
        }
        let (running, wanted) = (switch_config(&old), switch_config(&plan));
        let in_use: Vec<_> = running.ports.iter().map(|port| port.spec.clone()).collect();
        if let Some(error) = wanted
            .model
            .check_change(&running.model, &in_use)
            .into_iter()
            .next()
        {
            return Err(error.into());
        }
        // Aside, on a copy: who asks for the name of a rule meanwhile does not wait. Numbers are only added.
        let mut rules = self.shared.rules.read().clone();
        let (prepared, compiled) = aside(|| Prepared::after(&self.compiled, wanted, &mut rules))?
            .context("the policy cannot be built")?;
        let change = self.work_out(prepared)?;
        *self.shared.rules.write() = rules;
        let known: HashMap<Uuid, &Port> = old.ports.iter().map(|port| (port.id, port)).collect();
        let is_known = |port: &Port| {
            let known = known.get(&port.id);
            known.is_some_and(|known| same_device(&old, known, &plan, port))
        };
        let down = self.down();
        files::allow(plan.ports.len().saturating_mul(self.workers.len()))?;
        let guests = lab_ports(&plan);
        let (mut new, mut gone) = (Vec::new(), Vec::new());
        for (port, guest) in plan.ports.iter().zip(&guests) {
            if guest.is_gone() {
                // No reason to refuse a change of policy: the other guests are waiting for it.
                gone.push(port.id);
            } else if !is_known(port) || down.contains(&port.id) || !self.lab.is_in_place(guest) {
                new.push(guest.clone());
            }
        }
        if !new.is_empty() {
            // What an earlier reload has given up is closed by then, and is not taken for another program's.
            self.await_workers()?;
            self.closer.wait();
        }
        let taps = self.lab.add(&new, self.workers.len())?;
        self.lab.keep(&guests);
        let plan = Arc::new(plan);
        if plan.loggers != old.loggers {
            self.hand_over();
        }
        // The same ones, too: a reload has stores that refused asked again at once.
        self.log.tell(Message::Loggers(plan.loggers.clone()));
        self.compiled = compiled;
        let mut changes = self.swap_in(&plan, change, taps)?;
        self.take_down(&plan, &gone)?;
        // After the swap: a guest that announces its new MAC is heard.
        let here: Vec<_> = guests
            .iter()
            .filter(|guest| !guest.is_gone())
            .cloned()
            .collect();
        changes.changed = self.lab.change(&lab_ports(&old), &here);
        changes.lacks = self.publish_lacks(&plan, &guests);
        Ok(changes)
    }

    /// Shows what ports do without, and returns it by their names.
    pub(super) fn publish_lacks(&self, plan: &Plan, guests: &[LabPort]) -> Vec<(String, Lack)> {
        let mut by_id = HashMap::new();
        let mut by_name = Vec::new();
        let complete = self.lab.is_complete();
        let ports = plan.ports.iter().zip(guests);
        // Nothing is looked for where nothing is missing: there may be many ports.
        for (port, guest) in ports.filter(|_| !complete) {
            let lacks = self.lab.lacks(guest);
            by_name.extend(lacks.iter().map(|lack| (port.name.clone(), lack.clone())));
            if !lacks.is_empty() {
                by_id.insert(port.id, lacks.to_vec());
            }
        }
        *self.shared.lacks.write() = by_id;
        by_name
    }

    /// Gives up the TAPs of ports whose guests have gone; their ports stay, down.
    pub(super) fn take_down(&self, plan: &Plan, gone: &[Uuid]) -> Result<()> {
        for port in plan.ports.iter().filter(|port| gone.contains(&port.id)) {
            let number = {
                let mut switch = self.shared.switch.lock();
                let number = switch
                    .ports()
                    .find(|known| known.config.id == port.id)
                    .map(|known| known.number());
                number.inspect(|&number| switch.set_up(number, false))
            };
            if let Some(number) = number {
                self.detach(number)?;
            }
            let place = port.tap.netns.as_deref().unwrap_or_default();
            tracing::warn!(
                "port `{}` is down: there is no network namespace at {place}; \
                 reload when it is there, or write its new path and reload",
                port.name
            );
        }
        Ok(())
    }

    fn detach(&self, number: PortId) -> Result<()> {
        for (handle, _) in &self.workers {
            handle.tell(Command::Detach(number))?;
        }
        Ok(())
    }

    /// What was counted until now goes to the loggers in force, first of all what is left of an interval
    /// that has just ended.
    fn hand_over(&self) {
        drop(self.between_windows());
        let mut from = Some(0);
        while let Some(slot) = from {
            let mut switch = self.shared.switch.lock();
            from = switch.hand_over(slot);
            self.log.push(switch.fetch_log());
        }
    }

    /// The ports that are down.
    fn down(&self) -> HashSet<Uuid> {
        let switch = self.shared.switch.lock();
        let down = switch.ports().filter(|port| !port.up);
        down.map(|port| port.config.id).collect()
    }

    /// What a configuration changes: before any TAP is made, for it may be refused.
    pub(super) fn work_out(&self, prepared: Prepared) -> Result<Change> {
        let now = self.shared.clock.now();
        let outline = self.shared.switch.lock().outline(now, prepared.ports());
        Ok(aside(|| Change::new(outline, prepared))??)
    }

    /// The switch while no closed window waits for the sweep, so that a swap may close another one: what is
    /// left of the sweep goes in slices.
    fn between_windows(&self) -> MutexGuard<'_, Switch> {
        loop {
            let mut switch = self.shared.switch.lock();
            if !switch.is_closing() {
                return switch;
            }
            switch.sweep(self.shared.clock.now());
            self.log.push(switch.fetch_log());
        }
    }

    /// The swap: policy, names, and TAPs to the workers.
    pub(super) fn swap_in(
        &mut self,
        plan: &Arc<Plan>,
        change: Change,
        taps: Vec<tap::Tap>,
    ) -> Result<Changes> {
        let numbers = change.numbers().clone();
        let (gone, policy_epoch, retired) = {
            let mut switch = self.between_windows();
            let (new, gone) = switch.swap(self.shared.clock.now(), change);
            // A port is up once a worker serves its TAP.
            new.iter()
                .for_each(|&(number, _)| switch.set_up(number, false));
            // A number may have been another port's: what bears it still goes before the new name.
            self.log.push(switch.fetch_log());
            (gone, switch.policy_epoch(), switch.spare_memory())
        };
        // The old policy goes without the lock.
        drop(retired);
        let infos: Vec<_> = plan
            .ports
            .iter()
            .filter_map(|port| port_info(plan, *numbers.get(&port.id)?, port))
            .collect();
        self.log.tell(Message::Names {
            ports: infos.clone(),
            groups: group_names(plan),
        });
        // These alone: a port that another subnet has now has another number. The log thread, which still
        // writes of the old ones, has names of its own.
        let names = infos.into_iter().map(|info| (info.port, info));
        *self.shared.names.write() = names.collect();
        *self.shared.plan.write() = Arc::clone(plan);
        for &(number, _) in &gone {
            self.detach(number)?;
        }
        let attached = taps.len();
        let ports = by_device(plan);
        for tap in taps {
            let port = ports.get(&device_of(&tap)).copied();
            let number = port.and_then(|port| numbers.get(&port.id).copied());
            if let (Some(port), Some(number)) = (port, number) {
                self.attach(&port.name, number, tap)?;
            }
        }
        self.await_workers()?;
        // No worker serves them any more, and reports of them.
        let gone_numbers = gone.iter().map(|&(number, _)| number);
        self.shared.receivers.forget(gone_numbers);
        Ok(Changes {
            attached,
            detached: gone.len(),
            policy_epoch,
            ..Changes::default()
        })
    }

    /// Gives every worker its queue of a TAP.
    pub(super) fn attach(&self, name: &str, number: PortId, tap: tap::Tap) -> Result<()> {
        self.shared.receivers.is_reopened(number);
        for ((handle, _), queue) in self.workers.iter().zip(tap.into_queues()) {
            handle.tell(Command::Detach(number))?;
            handle.tell(Command::Attach(number, name.to_owned(), queue))?;
        }
        Ok(())
    }

    /// Waits until the workers have done what they were told: a switch that says it is ready, or reloaded, has
    /// its ports up.
    fn await_workers(&self) -> Result<()> {
        let (sender, receiver) = channel();
        for (handle, _) in &self.workers {
            handle.tell(Command::Answer(sender.clone()))?;
        }
        let mut missing = self.workers.len();
        while missing > 0 {
            match receiver.recv_timeout(LOOK) {
                Ok(()) => missing -= 1,
                // One that has ended does not answer any more, and ends the daemon.
                Err(_) if self.workers.iter().any(|(_, thread)| thread.is_finished()) => break,
                Err(_) => {}
            }
        }
        Ok(())
    }
}

/// Where a TAP lies and what it is called.
type Device = (Option<PathBuf>, String);

/// The ports of a plan by their TAPs.
fn by_device(plan: &Plan) -> HashMap<Device, &Port> {
    let device = |port: &Port| {
        let netns = port.tap.netns.as_deref();
        let netns = netns.and_then(|netns| tap::Netns::parse(netns).ok());
        (
            netns.map(|netns| netns.path().to_owned()),
            port.tap.name.clone(),
        )
    };
    plan.ports.iter().map(|port| (device(port), port)).collect()
}

fn device_of(tap: &tap::Tap) -> Device {
    let netns = tap.netns().map(|netns| netns.path().to_owned());
    (netns, tap.name().to_owned())
}

/// A setting that a running switch cannot change, if it differs.
fn fixed_part(old: &Plan, new: &Plan) -> Option<&'static str> {
    if old.control_socket != new.control_socket {
        Some("control_socket")
    } else if old.state_dir != new.state_dir {
        Some("state_dir")
    } else if old.access != new.access {
        Some("readers_group")
    } else if old.io != new.io {
        Some("io")
    } else if old.workers != new.workers {
        Some("workers")
    } else if old.conntrack.limit != new.conntrack.limit {
        Some("conntrack.limit")
    } else if old.spool_max_bytes != new.spool_max_bytes {
        Some("spool.max_bytes")
    } else {
        None
    }
}

/// Whether a port keeps its TAP.
fn same_device(old: &Plan, known: &Port, new: &Plan, port: &Port) -> bool {
    let subnet = |plan: &Plan, port: &Port| plan.subnets.get(port.subnet).map(|subnet| subnet.id);
    let vpc = |plan: &Plan, port: &Port| {
        let subnet = plan.subnets.get(port.subnet)?;
        plan.vpcs.get(subnet.vpc).map(|vpc| vpc.id)
    };
    known.id == port.id
        && known.tap.name == port.tap.name
        && known.tap.netns == port.tap.netns
        && known.tap.threaded == port.tap.threaded
        && known.role == port.role
        && subnet(old, known) == subnet(new, port)
        && vpc(old, known) == vpc(new, port)
}
