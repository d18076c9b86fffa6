//! What the daemon answers at one moment.

use crate::control::{
    ConnectionRow, ConnectionSelect, DropRow, FlowRow, Listing, LoggerRow, PortRow, Reply, Request,
    Select, StatusRow, ask,
};
use anyhow::{Result, bail};
use std::path::Path;
use std::time::Instant;

/// Ports looked at; some 2 MB of JSON.
const PORTS_MAX: u32 = 4096;

/// Connections and open records looked at, of each: as much again.
const FLOWS_MAX: u32 = 10_000;

/// Counters of one moment.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) status: StatusRow,
    pub(super) ports: Listing<PortRow>,
    pub(super) drops: Listing<DropRow>,
    pub(super) connections: Listing<ConnectionRow>,
    pub(super) flows: Listing<FlowRow>,
    pub(super) loggers: Listing<LoggerRow>,
}

/// Takes the reply of the kind that was asked for.
macro_rules! asked {
    ($socket:expr, $request:expr, $kind:path) => {
        match ask($socket, &$request)? {
            $kind(answer) => answer,
            _ => bail!(
                "the daemon answered something else than was asked; is it of another version?"
            ),
        }
    };
}

impl Sample {
    /// Asks the daemon.
    ///
    /// # Errors
    /// A daemon that cannot be asked.
    pub(super) fn take(socket: &Path) -> Result<Self> {
        let first = |limit| Select {
            limit,
            ..Select::default()
        };
        let connections = ConnectionSelect {
            limit: FLOWS_MAX,
            ..ConnectionSelect::default()
        };
        Ok(Self {
            ports: asked!(socket, Request::Ports(first(PORTS_MAX)), Reply::Ports),
            // Counted at the same moment as the ports, as near as can be.
            at: Instant::now(),
            drops: asked!(socket, Request::Drops(first(PORTS_MAX)), Reply::Drops),
            connections: asked!(
                socket,
                Request::Connections(connections),
                Reply::Connections
            ),
            // Behind the connections: it says since when they are counted.
            status: asked!(socket, Request::Status, Reply::Status),
            flows: asked!(socket, Request::Flows(first(FLOWS_MAX)), Reply::Flows),
            loggers: asked!(socket, Request::Loggers, Reply::Loggers),
        })
    }
}
