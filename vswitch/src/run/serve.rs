//! `vswitch run`: the daemon in the foreground, until a signal ends it.

use super::aside::aside;
use super::{Changes, Daemon, name_of};
use crate::config::{Config, ConfigError, Notice, Plan};
use anyhow::Result;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::path::Path;

/// Runs the configuration until SIGTERM or SIGINT; SIGHUP reloads it. `beside` is started once the switch
/// forwards (the control socket), and what it returns is dropped before the switch stops.
///
/// # Errors
/// What [`Daemon::start`] and [`Daemon::stop`] say; what `beside` says.
pub fn serve<T>(
    config: &Path,
    plan: Plan,
    beside: impl FnOnce(&Daemon) -> Result<T>,
) -> Result<()> {
    // Signals are taken before anything is made, so that nothing is left behind.
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let mut daemon = Daemon::start(plan, &name_of(config))?;
    let beside = match beside(&daemon) {
        Ok(beside) => beside,
        Err(error) => return daemon.stop().and(Err(error)),
    };
    tracing::info!(config = %config.display(), "forwarding");
    for signal in signals.forever() {
        if signal != SIGHUP {
            break;
        }
        match reload(config, &mut daemon) {
            Ok(changes) => tracing::info!(
                attached = changes.attached,
                detached = changes.detached,
                policy_epoch = changes.policy_epoch,
                "reloaded"
            ),
            Err(error) => {
                tracing::error!("not reloaded, the configuration in force stays: {error:#}");
            }
        }
    }
    drop(beside);
    daemon.stop()?;
    tracing::info!("stopped");
    Ok(())
}

fn reload(config: &Path, daemon: &mut Daemon) -> Result<Changes> {
    daemon.reload(aside(|| load(config))?)
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
