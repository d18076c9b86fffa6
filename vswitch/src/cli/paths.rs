//! Where a daemon keeps its things: by flag, by environment variable, or as its configuration says.
//!
//! ```text
//!   --control-socket, --state-dir  ▶  VSWITCH_CONTROL_SOCKET, VSWITCH_STATE_DIR  ▶  the file  ▶  default
//! ```

use crate::config::Overrides;
use clap::Args;
use std::path::PathBuf;

/// Where the daemon listens unless told otherwise: the configuration's default.
const SOCKET: &str = "/run/vswitch/control.sock";
/// The environment variables that stand for the two flags.
const SOCKET_ENV: &str = "VSWITCH_CONTROL_SOCKET";
const STATE_DIR_ENV: &str = "VSWITCH_STATE_DIR";

/// Paths in place of the configuration's, so that one file serves several daemons.
#[derive(Debug, Clone, Default, Args)]
pub struct DaemonPaths {
    /// Control socket, in place of `control_socket` of the configuration and of VSWITCH_CONTROL_SOCKET.
    #[arg(long, value_name = "PATH")]
    pub control_socket: Option<String>,
    /// State directory, in place of `state_dir` of the configuration and of VSWITCH_STATE_DIR.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<String>,
}

impl DaemonPaths {
    /// What holds instead of the configuration: the flags, and else the environment.
    #[must_use]
    pub fn overrides(self) -> Overrides {
        self.or(variable)
    }

    /// With the variables as `variable` has them.
    fn or(self, variable: impl Fn(&str) -> Option<String>) -> Overrides {
        Overrides {
            control_socket: self.control_socket.or_else(|| variable(SOCKET_ENV)),
            state_dir: self.state_dir.or_else(|| variable(STATE_DIR_ENV)),
        }
    }
}

/// Where clients look for the daemon if no flag says it.
pub(super) fn default_socket() -> PathBuf {
    variable(SOCKET_ENV).map_or_else(|| PathBuf::from(SOCKET), PathBuf::from)
}

/// An environment variable; an empty one counts as absent.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_goes_before_the_environment_and_what_neither_says_is_left_to_the_file() {
        let paths = || DaemonPaths {
            control_socket: Some("flag.sock".to_owned()),
            state_dir: None,
        };
        let both = paths().or(|name| Some(format!("of {name}")));
        assert_eq!(both.control_socket.as_deref(), Some("flag.sock"));
        assert_eq!(both.state_dir.as_deref(), Some("of VSWITCH_STATE_DIR"));
        assert_eq!(paths().or(|_| None).state_dir, None);
    }
}
