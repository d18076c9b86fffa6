//! How many files the process may have open: one for each queue of each port, and some of its own.

use anyhow::{Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files beside the ports': logs, spool, stores, clients of the control socket, what sets up a port.
const OTHERS: u64 = 512;

/// Has the process open as many files as `queues` queues need: the limit in force is usually 1,024, and
/// the one it may be raised to far beyond.
///
/// # Errors
/// Where that does not suffice either.
pub(super) fn allow(queues: usize) -> Result<()> {
    let needed = u64::try_from(queues)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHERS);
    let limit = getrlimit(Resource::Nofile);
    let may = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    if may(limit.current) < may(limit.maximum) {
        // As far as it goes: a reload may bring ports. Only `needed` is needed.
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        let _ = setrlimit(Resource::Nofile, raised);
    }
    if may(getrlimit(Resource::Nofile).current) >= needed {
        return Ok(());
    }
    let beyond = Rlimit {
        current: Some(needed),
        maximum: Some(needed.max(may(limit.maximum))),
    };
    // For those who may (CAP_SYS_RESOURCE).
    if setrlimit(Resource::Nofile, beyond).is_err() {
        bail!(
            "{queues} queues (one for each port and worker) need {needed} open files, and the process may have {}; \
             raise its limit (`LimitNOFILE=` of a systemd unit, `--ulimit nofile=` of a container, `ulimit -Hn`)",
            may(getrlimit(Resource::Nofile).current)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_what_the_process_may_have() {
        allow(1).unwrap();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }

    #[test]
    fn what_nobody_may_have_is_refused_with_a_remedy() {
        // Beyond fs.nr_open, whoever asks.
        let error = allow(usize::MAX).unwrap_err().to_string();
        assert!(error.contains("LimitNOFILE="), "{error}");
    }
}
