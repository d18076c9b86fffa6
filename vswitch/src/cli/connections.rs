//! `vswitch connections`, and which connections `show connections` shows.

use super::args::{Ask, limit_range};
use super::output::Output;
use super::select::Prefix;
use crate::control::{
    ConnectionSelect, LIMIT_DEFAULT, Reply, Request, ask, known_state, protocol, tuple,
};
use anyhow::{Result, bail};
use clap::{ArgGroup, Args, Subcommand};
use packet::PacketSpec;
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;

/// Which connections: those that meet everything that is said.
#[derive(Debug, Clone, Args)]
pub struct ConnectionFilter {
    /// With an end at the port with this name or UUID.
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// With an end in the VPC or subnet with this name or UUID.
    #[arg(long, value_name = "NETWORK")]
    pub network: Option<String>,
    /// With this address, or an address in this prefix.
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<Prefix>,
    /// Of this protocol, by name or number.
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol_text)]
    pub protocol: Option<String>,
    /// In this state, as `established`.
    #[arg(long, value_name = "STATE", value_parser = state_text)]
    pub state: Option<String>,
    /// That this packet would belong to, whichever way it goes: `tcp 10.77.1.11:40000 > 10.77.1.12:22`.
    #[arg(long, value_name = "PACKET", value_parser = packet_text)]
    pub tuple: Option<String>,
}

impl ConnectionFilter {
    fn select(self, limit: u32) -> ConnectionSelect {
        ConnectionSelect {
            port: self.port,
            network: self.network,
            address: self.address.map(|prefix| prefix.0),
            protocol: self.protocol,
            state: self.state,
            tuple: self.tuple,
            limit,
        }
    }
}

/// What `show connections` shows.
#[derive(Debug, Clone, Args)]
pub struct ShowConnections {
    /// Which ones.
    #[command(flatten)]
    pub filter: ConnectionFilter,
    /// At most so many rows.
    #[arg(long, value_name = "ROWS", default_value_t = LIMIT_DEFAULT, value_parser = limit_range())]
    pub limit: u32,
}

impl ShowConnections {
    /// As the daemon is asked for it.
    #[must_use]
    pub fn select(self) -> ConnectionSelect {
        self.filter.select(self.limit)
    }
}

/// `connections`.
#[derive(Debug, Args)]
pub struct ConnectionsArgs {
    /// Where the daemon is and how its answer is printed.
    #[command(flatten)]
    pub ask: Ask,
    /// What to do.
    #[command(subcommand)]
    pub what: ConnectionsCommand,
}

/// What `connections` does.
#[derive(Debug, Subcommand)]
pub enum ConnectionsCommand {
    /// Forgets connections; their next packets are judged anew
    ///
    /// What they have counted goes into the flow log. A live TCP connection is picked up again where a rule
    /// allows the direction of its next packet and `tcp_loose` is on; of other protocols, whoever sends
    /// next needs a rule.
    Flush(Flush),
}

/// Which connections are forgotten.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true)
    .args(["port", "network", "address", "protocol", "state", "tuple", "all"]))]
pub struct Flush {
    /// Which ones.
    #[command(flatten)]
    pub filter: ConnectionFilter,
    /// Every one.
    #[arg(long, conflicts_with_all = ["port", "network", "address", "protocol", "state", "tuple"])]
    pub all: bool,
}

/// Asks and says how many there were.
pub(super) fn connections(
    ConnectionsArgs { ask: from, what }: ConnectionsArgs,
) -> Result<ExitCode> {
    let ConnectionsCommand::Flush(Flush { filter, all }) = what;
    let connections = filter.select(LIMIT_DEFAULT);
    let Reply::Flushed(flushed) = ask(&from.socket, &Request::Flush { connections, all })? else {
        bail!("the daemon answered something else than was asked; is it of another version?")
    };
    let mut out = Output::stdout();
    if from.json {
        out.json(&json!({ "flushed": flushed }))?;
    } else {
        let noun = if flushed == 1 {
            "connection"
        } else {
            "connections"
        };
        writeln!(out, "{flushed} {noun} forgotten")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

// The daemon reads these texts; here they are read before it is asked, so that a wrong one is wrong usage.

/// A packet's text form, as it was written.
fn packet_text(text: &str) -> Result<String, String> {
    text.parse::<PacketSpec>()
        .map_err(|error| error.to_string())?;
    tuple(text).map(|_| text.to_owned())
}

/// A protocol, as it was written.
fn protocol_text(text: &str) -> Result<String, String> {
    protocol(text).map(|_| text.to_owned())
}

/// A state's name.
fn state_text(text: &str) -> Result<String, String> {
    known_state(text).map(|()| text.to_owned())
}
