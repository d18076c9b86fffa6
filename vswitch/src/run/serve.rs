//! `vswitch run`: the daemon in the foreground, until a signal ends it.

use super::aside::aside;
use super::difference::Difference;
use super::orders::{Answer, Event, Reloaded};
use super::starter::Starter;
use super::terminal::Terminal;
use super::{Daemon, name_of};
use crate::config::{Config, ConfigError, Notice, Overrides, Plan};
use anyhow::Result;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// How often guests that were found slow are looked after.
const LOOK: Duration = Duration::from_millis(250);

/// Where a daemon's configuration comes from, at the start and at every reload.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// What holds in place of keys in it.
    pub overrides: Overrides,
}

impl Source {
    /// Reads it; what is worth knowing about it goes to the log.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(&self) -> Result<Plan, ConfigError> {
        load_with(&self.path, &self.overrides)
    }
}

/// Keeps SIGHUP until the switch can reload: while a configuration is read for the first time it would
/// end the process. SIGTERM and SIGINT still do, for nothing is made yet.
///
/// # Errors
/// Where the system lets no signal be caught.
pub fn hold_hangups() -> io::Result<Signals> {
    Signals::new([SIGHUP])
}

/// Runs the configuration until SIGTERM or SIGINT; SIGHUP and [`super::Orders::reload`] reload it. `beside`
/// is started once the switch forwards (the control socket), and what it returns is dropped before the
/// switch stops; `starter` hears when both are done.
///
/// # Errors
/// What [`Daemon::start`] and [`Daemon::stop`] say; what `beside` says.
pub fn serve<T>(
    source: &Source,
    plan: Plan,
    signals: Signals,
    mut starter: Starter,
    beside: impl FnOnce(&Daemon) -> Result<T>,
) -> Result<()> {
    // Taken before anything is made, so that nothing is left behind.
    signals.handle().add_signal(SIGINT)?;
    signals.handle().add_signal(SIGTERM)?;
    let mut terminal = Terminal::find();
    let mut daemon = Daemon::start(plan, &name_of(&source.path))?;
    let (events, inbox) = daemon.shared().orders.open();
    let beside = match beside(&daemon) {
        Ok(beside) => beside,
        Err(error) => return daemon.stop().and(Err(error)),
    };
    tracing::info!(config = %source.path.display(), "forwarding");
    let is_reloading = Arc::new(AtomicBool::new(false));
    forward(signals, &events, &daemon, &is_reloading)?;
    starter.tell_ready();
    let mut wanted = Wanted::new(source, events);
    loop {
        let event = match inbox.recv_timeout(LOOK) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => {
                daemon.relieve();
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        match event {
            Event::Signal(SIGHUP) if terminal.has_closed() => {
                tracing::info!("the terminal was closed; the switch goes on");
            }
            Event::Signal(SIGHUP) => wanted.reload(None)?,
            Event::Signal(_) => break,
            Event::Reload(answer) => wanted.reload(Some(answer))?,
            Event::Read(read) => {
                starter.tell_reloading();
                is_reloading.store(true, Ordering::Release);
                let outcome = read.and_then(|(plan, notices)| reload(&mut daemon, plan, &notices));
                wanted.is_done(&report(outcome))?;
                is_reloading.store(false, Ordering::Release);
                starter.tell_ready();
            }
        }
    }
    starter.tell_stopping();
    // Clients that wait for a reload hear that there is none.
    drop((wanted, inbox));
    drop(beside);
    daemon.stop()?;
    tracing::info!("stopped");
    Ok(())
}

/// Passes signals on to the first thread, from a thread that is never busy: whoever wants the switch to
/// stop hears at once what that waits for.
fn forward(
    mut signals: Signals,
    events: &Sender<Event>,
    daemon: &Daemon,
    is_reloading: &Arc<AtomicBool>,
) -> io::Result<()> {
    let (events, is_reloading) = (events.clone(), Arc::clone(is_reloading));
    let forward = move || {
        for signal in signals.forever() {
            if signal != SIGHUP {
                let waits = is_reloading.load(Ordering::Acquire);
                let after = if waits {
                    " after the reload under way"
                } else {
                    ""
                };
                tracing::info!("stopping{after}");
            }
            if events.send(Event::Signal(signal)).is_err() {
                break;
            }
        }
        Ok(())
    };
    daemon.shared().health.spawn("signals", forward).map(drop)
}

/// Reloads that were asked for: one whose configuration is being read, and one after that, for the file
/// may have changed since it was read.
struct Wanted<'a> {
    source: &'a Source,
    events: Sender<Event>,
    /// Clients that wait for the one; absent where none is under way.
    now: Option<Vec<Answer>>,
    /// Clients that wait for the other; absent where none is wanted.
    after: Option<Vec<Answer>>,
}

impl<'a> Wanted<'a> {
    const fn new(source: &'a Source, events: Sender<Event>) -> Self {
        Self {
            source,
            events,
            now: None,
            after: None,
        }
    }

    /// One more is asked for, by a client or by a signal.
    fn reload(&mut self, answer: Option<Answer>) -> io::Result<()> {
        if self.now.is_none() {
            self.begin(answer.into_iter().collect())
        } else {
            self.after.get_or_insert_default().extend(answer);
            Ok(())
        }
    }

    fn begin(&mut self, answers: Vec<Answer>) -> io::Result<()> {
        self.now = Some(answers);
        read(self.source, &self.events)
    }

    /// The one is done.
    fn is_done(&mut self, outcome: &Result<Reloaded, String>) -> io::Result<()> {
        for answer in self.now.take().unwrap_or_default() {
            // A client that has gone hears nothing.
            let _ = answer.send(outcome.clone());
        }
        match self.after.take() {
            Some(answers) => self.begin(answers),
            None => Ok(()),
        }
    }
}

/// Reads the configuration on a thread of its own: a file on a share that hangs keeps nobody from
/// stopping the switch.
fn read(source: &Source, events: &Sender<Event>) -> io::Result<()> {
    let (source, events) = (source.clone(), events.clone());
    let read = move || {
        let read = aside(|| Config::load_with(&source.path, &source.overrides));
        let read = read.and_then(|read| read.map_err(Into::into));
        // The switch may have stopped meanwhile.
        let _ = events.send(Event::Read(Box::new(read)));
    };
    let thread = thread::Builder::new().name("reload".into());
    thread.spawn(read).map(drop)
}

/// Puts a configuration in force.
fn reload(daemon: &mut Daemon, plan: Plan, notices: &[Notice]) -> Result<Reloaded> {
    notices.iter().for_each(tell);
    let before = Arc::clone(&*daemon.shared().plan.read());
    let difference = Difference::between(&before, &plan);
    let changes = daemon.reload(plan)?;
    let notices = notices.iter().map(ToString::to_string).collect();
    Ok(Reloaded::new(changes, difference, notices))
}

/// The outcome in words, also for the daemon's log.
fn report(outcome: Result<Reloaded>) -> Result<Reloaded, String> {
    let outcome = outcome.map_err(|error| format!("{error:#}"));
    match &outcome {
        Ok(reloaded) => tell_changes(reloaded),
        Err(error) => {
            tracing::error!("not reloaded, the configuration in force stays: {error}");
        }
    }
    outcome
}

/// A part that was left behind is never told as reloaded.
fn tell_changes(reloaded: &Reloaded) {
    let (attached, detached) = (reloaded.attached, reloaded.detached);
    let (changed, policy_epoch) = (reloaded.set_up.len(), reloaded.policy_epoch);
    if reloaded.lacks.is_empty() {
        tracing::info!(attached, detached, changed, policy_epoch, "reloaded");
        return;
    }
    let parts = reloaded.lacks.len();
    tracing::warn!(
        attached,
        detached,
        changed,
        policy_epoch,
        "reloaded, except for {parts} part(s): `vswitch show ports` lists them"
    );
    for lack in &reloaded.lacks {
        tracing::warn!("{lack}");
    }
}

/// Reads a configuration; what is worth knowing about it goes to the log.
///
/// # Errors
/// [`ConfigError`].
pub fn load(config: &Path) -> Result<Plan, ConfigError> {
    load_with(config, &Overrides::default())
}

/// As [`load`], with what stands outside the file in place of what stands in it.
///
/// # Errors
/// [`ConfigError`].
pub fn load_with(config: &Path, overrides: &Overrides) -> Result<Plan, ConfigError> {
    let (plan, notices) = Config::load_with(config, overrides)?;
    notices.iter().for_each(tell);
    Ok(plan)
}

fn tell(notice: &Notice) {
    tracing::warn!("{notice}");
}
