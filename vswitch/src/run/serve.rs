//! `vswitch run`: the daemon in the foreground, until a signal ends it.

use super::aside::{NO_THREAD, aside};
use super::difference::Difference;
use super::orders::{Answer, Event, Reloaded};
use super::starter::Starter;
use super::terminal::Terminal;
use super::{Daemon, name_of};
use crate::config::{Config, ConfigError, Notice, Overrides, Plan};
use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// How often the first thread looks after what sends it no event: slow guests, threads that have ended, a
/// terminal that was closed, clients that wait.
const LOOK: Duration = Duration::from_millis(250);

/// How long clients wait for a configuration that is being read. One on a share that does not answer must
/// not hold the places of the control socket.
const PATIENCE: Duration = Duration::from_secs(10);

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
    if let Err(error) = forward(signals, &events, &daemon, &is_reloading) {
        drop(beside);
        let error = anyhow::Error::from(error).context(NO_THREAD);
        return daemon.stop().and(Err(error));
    }
    starter.tell_ready();
    let mut wanted = Wanted::new(source, events);
    // A thread that has ended raises SIGTERM. Were it the one that forwards signals, none would come.
    while daemon.shared().health.ended().is_none() {
        terminal.look();
        let event = match inbox.recv_timeout(LOOK) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => {
                daemon.relieve();
                wanted.let_go(Instant::now());
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        match event {
            Event::Signal(SIGHUP) if terminal.hangs_up() => {
                tracing::info!("the terminal was closed; the switch goes on");
            }
            Event::Signal(SIGHUP) => wanted.reload(None),
            Event::Signal(_) => break,
            Event::Reload(answer) => wanted.reload(Some(answer)),
            Event::Read(read) => {
                starter.tell_reloading();
                is_reloading.store(true, Ordering::Release);
                let outcome = read.and_then(|(plan, notices)| reload(&mut daemon, plan, &notices));
                wanted.is_done(&report(outcome));
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

/// Passes signals on to the first thread, from a thread that is never busy: the log says at once what a
/// stop waits for.
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
    /// Begins to read; the outcome is an event.
    read: fn(&Source, &Sender<Event>) -> io::Result<()>,
    /// The one; absent where none is under way.
    now: Option<Reading>,
    /// Clients that wait for the other; absent where none is wanted.
    after: Option<Vec<Answer>>,
}

/// A configuration that is being read.
struct Reading {
    since: Instant,
    /// Clients that wait for it.
    answers: Vec<Answer>,
}

impl<'a> Wanted<'a> {
    fn new(source: &'a Source, events: Sender<Event>) -> Self {
        Self {
            source,
            events,
            read,
            now: None,
            after: None,
        }
    }

    /// One more is asked for, by a client or by a signal.
    fn reload(&mut self, answer: Option<Answer>) {
        if self.now.is_none() {
            self.begin(answer.into_iter().collect());
        } else {
            self.after.get_or_insert_default().extend(answer);
        }
    }

    /// Where it cannot begin, that is its outcome.
    fn begin(&mut self, answers: Vec<Answer>) {
        match (self.read)(self.source, &self.events) {
            Ok(()) => {
                let since = Instant::now();
                self.now = Some(Reading { since, answers });
            }
            Err(error) => {
                let failed = Err(error).context(NO_THREAD);
                tell_all(answers, &report(failed));
            }
        }
    }

    /// The one is done.
    fn is_done(&mut self, outcome: &Result<Reloaded, String>) {
        let done = self.now.take().map(|reading| reading.answers);
        tell_all(done.unwrap_or_default(), outcome);
        if let Some(answers) = self.after.take() {
            self.begin(answers);
        }
    }

    /// Clients wait no longer for a configuration that takes too long to read. What they asked for stays
    /// wanted.
    fn let_go(&mut self, now: Instant) {
        let Some(reading) = &mut self.now else {
            return;
        };
        if now.saturating_duration_since(reading.since) < PATIENCE {
            return;
        }
        let mut answers = std::mem::take(&mut reading.answers);
        answers.extend(self.after.iter_mut().flat_map(std::mem::take));
        if answers.is_empty() {
            return;
        }
        let late = format!(
            "still reading {} after {} s; the reload goes on, and the daemon's log will have its outcome",
            self.source.path.display(),
            PATIENCE.as_secs()
        );
        tracing::warn!("{late}");
        tell_all(answers, &Err(late));
    }
}

/// A client that has gone hears nothing.
fn tell_all(answers: Vec<Answer>, outcome: &Result<Reloaded, String>) {
    for answer in answers {
        let _ = answer.send(outcome.clone());
    }
}

/// Reads the configuration on a thread of its own: the switch can be stopped while a share does not
/// answer.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    fn source() -> Source {
        Source {
            path: "/share/lab.yaml".into(),
            overrides: Overrides::default(),
        }
    }

    fn ask(wanted: &mut Wanted<'_>) -> Receiver<Result<Reloaded, String>> {
        let (answer, answered) = channel();
        wanted.reload(Some(answer));
        answered
    }

    #[test]
    fn a_reload_for_which_there_is_no_thread_is_refused_and_the_next_one_begins() {
        let source = source();
        let mut wanted = Wanted::new(&source, channel().0);
        wanted.read = |_, _| Err(io::ErrorKind::WouldBlock.into());
        let error = ask(&mut wanted).try_recv().unwrap().unwrap_err();
        assert!(error.contains(NO_THREAD), "{error}");
        wanted.reload(None);
        wanted.read = |_, _| Ok(());
        let answered = ask(&mut wanted);
        assert!(wanted.now.is_some() && answered.try_recv().is_err());
    }

    #[test]
    fn clients_do_not_wait_for_a_file_that_cannot_be_read_to_its_end_and_the_reload_goes_on() {
        let source = source();
        let mut wanted = Wanted::new(&source, channel().0);
        wanted.read = |_, _| Ok(());
        let (first, second) = (ask(&mut wanted), ask(&mut wanted));
        wanted.let_go(Instant::now());
        assert!(first.try_recv().is_err(), "it has only begun");
        let late = Instant::now() + PATIENCE;
        wanted.let_go(late);
        for answered in [first, second] {
            let error = answered.try_recv().unwrap().unwrap_err();
            assert!(
                error.starts_with("still reading /share/lab.yaml after"),
                "{error}"
            );
        }
        // The one that was asked for meanwhile is read once the first one is.
        wanted.is_done(&Err("no such file".to_owned()));
        assert!(wanted.now.is_some() && wanted.after.is_none());
    }
}
