//! `vswitch run`: the daemon in the foreground, until a signal ends it.

use super::aside::aside;
use super::terminal::Terminal;
use super::{Changes, Daemon, name_of};
use crate::config::{Config, ConfigError, Notice, Plan};
use anyhow::Result;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// How often guests that were found slow are looked after.
const LOOK: Duration = Duration::from_millis(250);

/// Keeps SIGHUP until the switch can reload: while a configuration is read for the first time it would
/// end the process. SIGTERM and SIGINT still do, for nothing is made yet.
///
/// # Errors
/// Where the system lets no signal be caught.
pub fn hold_hangups() -> io::Result<Signals> {
    Signals::new([SIGHUP])
}

/// What the daemon's first thread waits for.
enum Event {
    Signal(i32),
    /// A configuration was read again.
    Read(Box<Result<Plan>>),
}

/// Runs the configuration until SIGTERM or SIGINT; SIGHUP reloads it. `beside` is started once the switch
/// forwards (the control socket), and what it returns is dropped before the switch stops.
///
/// # Errors
/// What [`Daemon::start`] and [`Daemon::stop`] say; what `beside` says.
pub fn serve<T>(
    config: &Path,
    plan: Plan,
    signals: Signals,
    beside: impl FnOnce(&Daemon) -> Result<T>,
) -> Result<()> {
    // Taken before anything is made, so that nothing is left behind.
    signals.handle().add_signal(SIGINT)?;
    signals.handle().add_signal(SIGTERM)?;
    let mut terminal = Terminal::find();
    let mut daemon = Daemon::start(plan, &name_of(config))?;
    let beside = match beside(&daemon) {
        Ok(beside) => beside,
        Err(error) => return daemon.stop().and(Err(error)),
    };
    tracing::info!(config = %config.display(), "forwarding");
    let (events, inbox) = channel();
    let is_reloading = Arc::new(AtomicBool::new(false));
    forward(signals, &events, &daemon, &is_reloading)?;
    let mut wanted = Wanted::Nothing;
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
            Event::Signal(SIGHUP) => wanted.reload(config, &events)?,
            Event::Signal(_) => break,
            Event::Read(plan) => {
                is_reloading.store(true, Ordering::Release);
                report(plan.and_then(|plan| daemon.reload(plan)));
                is_reloading.store(false, Ordering::Release);
                wanted.is_read(config, &events)?;
            }
        }
    }
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

/// Reloads that were asked for.
enum Wanted {
    /// None.
    Nothing,
    /// One; its configuration is being read.
    One,
    /// Another, after that one: the file may have changed since it was read.
    Another,
}

impl Wanted {
    /// One more is asked for.
    fn reload(&mut self, config: &Path, events: &Sender<Event>) -> io::Result<()> {
        *self = match self {
            Self::Nothing => {
                read(config, events)?;
                Self::One
            }
            Self::One | Self::Another => Self::Another,
        };
        Ok(())
    }

    /// The configuration of one was read.
    fn is_read(&mut self, config: &Path, events: &Sender<Event>) -> io::Result<()> {
        match std::mem::replace(self, Self::Nothing) {
            Self::Another => self.reload(config, events),
            Self::Nothing | Self::One => Ok(()),
        }
    }
}

/// Reads the configuration on a thread of its own: a file on a share that hangs keeps nobody from
/// stopping the switch.
fn read(config: &Path, events: &Sender<Event>) -> io::Result<()> {
    let (config, events) = (config.to_owned(), events.clone());
    let read = move || {
        let plan = aside(|| load(&config)).and_then(|plan| plan.map_err(Into::into));
        // The switch may have stopped meanwhile.
        let _ = events.send(Event::Read(Box::new(plan)));
    };
    let thread = thread::Builder::new().name("reload".into());
    thread.spawn(read).map(drop)
}

fn report(result: Result<Changes>) {
    match result {
        Ok(changes) => tell_changes(&changes),
        Err(error) => {
            tracing::error!("not reloaded, the configuration in force stays: {error:#}");
        }
    }
}

/// A part that was left behind is never told as reloaded.
fn tell_changes(changes: &Changes) {
    let (attached, detached) = (changes.attached, changes.detached);
    let (changed, policy_epoch) = (changes.changed.len(), changes.policy_epoch);
    if changes.lacks.is_empty() {
        tracing::info!(attached, detached, changed, policy_epoch, "reloaded");
        return;
    }
    let parts = changes.lacks.len();
    tracing::warn!(
        attached,
        detached,
        changed,
        policy_epoch,
        "reloaded, except for {parts} part(s): `vswitch show ports` lists them"
    );
    for (port, lack) in &changes.lacks {
        tracing::warn!("port `{port}`: {lack}");
    }
}

/// Reads a configuration; what is worth knowing about it goes to the log.
///
/// # Errors
/// [`ConfigError`].
pub fn load(config: &Path) -> Result<Plan, ConfigError> {
    let (plan, notices) = Config::load(config)?;
    notices.iter().for_each(tell);
    Ok(plan)
}

fn tell(notice: &Notice) {
    tracing::warn!("{notice}");
}
