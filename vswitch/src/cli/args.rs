//! The command line, as clap reads it.

use super::connections::{ConnectionsArgs, ShowConnections};
use super::logs::LogsArgs;
use super::paths::{DaemonPaths, default_socket};
use super::select::Prefix;
use super::wait::WaitArgs;
use crate::control::{LIMIT_DEFAULT, LIMIT_MAX, Select};
use clap::builder::RangedI64ValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Begin with `vswitch demo`: it needs nothing but root, and shows everything in half a minute.

Data goes to standard output, messages to standard error. VSWITCH_LOG sets what is told while running
(error, warn, info, debug, trace; or by module, as in vswitch::run=debug); NO_COLOR turns colours off.
VSWITCH_CONTROL_SOCKET and VSWITCH_STATE_DIR stand for --control-socket and --state-dir (docs/scripting.md).
Exit codes: 0 done, 1 failed (or an audit that does not hold), 2 wrong usage or an invalid configuration.";

/// A userspace virtual switch with stateful Security Groups and an inline flow log.
#[derive(Debug, Parser)]
#[command(name = "vswitch", version, about, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows the whole program in half a minute: guests, rules, traffic, and the flow log of it
    ///
    /// Builds three guests in network namespaces, runs allowed and refused traffic between them, prints
    /// the flow-log records as their intervals close, and removes what it made. The files stay in
    /// ./flowlogs. Needs root (CAP_NET_ADMIN and CAP_SYS_ADMIN) and /dev/net/tun.
    Demo,
    /// Runs the switch in the foreground until SIGINT or SIGTERM; SIGHUP reloads
    ///
    /// Makes the namespaces and TAPs that are missing and removes them in the end. A reload is all or
    /// nothing: a configuration with a mistake changes nothing.
    Run {
        /// The configuration, YAML.
        config: PathBuf,
        /// Where it keeps its things.
        #[command(flatten)]
        paths: DaemonPaths,
        /// Write READY and a line end to this inherited file descriptor once the switch forwards and answers,
        /// and close it.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(3..))]
        ready_fd: Option<i32>,
    },
    /// Waits until the daemon answers and its ports are up; exits with 1 when the time is over
    Wait(WaitArgs),
    /// Has the daemon read its configuration again, and prints what that changed
    ///
    /// The same as SIGHUP, with an answer: exits with 1 where the daemon refused, with its reason; the
    /// configuration in force stays then.
    Reload(Ask),
    /// Checks a configuration and prints what would be built
    ///
    /// All mistakes of meaning are told at once, each with its place and remedy.
    Check {
        /// The configuration, YAML.
        #[arg(required_unless_present = "schema")]
        config: Option<PathBuf>,
        /// Where the daemon would keep its things.
        #[command(flatten)]
        paths: DaemonPaths,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
        /// Print the JSON Schema of configurations instead, for editors.
        #[arg(long, conflicts_with = "config")]
        schema: bool,
    },
    /// Makes or removes the guests' namespaces and TAPs, so that they outlive the daemon
    #[command(subcommand)]
    Lab(LabCommand),
    /// Shows the state of the running daemon
    Show(ShowArgs),
    /// Forgets tracked connections of the running daemon
    Connections(ConnectionsArgs),
    /// Tells what would happen to a packet and why, stage by stage; changes nothing
    ///
    /// The very code that forwards is asked, in the running daemon or, with --config, in a switch made
    /// from a file.
    #[command(after_help = TRACE_HELP)]
    Trace(TraceArgs),
    /// Shows ports, flows and refusals of the daemon as they change; q ends it
    ///
    /// Keys: q ends, s sorts the ports by another column, p pauses. What is no terminal gets one frame,
    /// as with --once.
    Top(TopArgs),
    /// Reads flow-log files, or with --follow the live records of the daemon
    Logs(LogsArgs),
    /// Sends captures through the switch, without TAPs, with the captures' own clock
    ///
    /// Verdicts and flow-log files come out as they would from TAPs.
    Replay(ReplayArgs),
}

/// `lab`.
#[derive(Debug, Subcommand)]
pub enum LabCommand {
    /// Makes what is missing: namespaces, persistent TAPs, MAC, addresses, routes, MTU
    Up {
        /// The configuration, YAML.
        config: PathBuf,
        /// Where the daemon keeps its things.
        #[command(flatten)]
        paths: DaemonPaths,
    },
    /// Removes exactly what `up` has made
    Down {
        /// The configuration, YAML.
        config: PathBuf,
        /// Also under a running daemon, whose ports go down.
        #[arg(long)]
        force: bool,
        /// Where the daemon keeps its things.
        #[command(flatten)]
        paths: DaemonPaths,
    },
}

/// Where the daemon is and how its answer is printed.
#[derive(Debug, Clone, Args)]
pub struct Ask {
    /// Control socket of the daemon.
    #[arg(long, visible_alias = "control-socket", value_name = "PATH", global = true, default_value_os_t = default_socket())]
    pub socket: PathBuf,
    /// Print as JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// Which rows.
#[derive(Debug, Clone, Args)]
pub struct Filter {
    /// Only of the port with this name or UUID.
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// Only with this address, or an address in this prefix.
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<Prefix>,
    /// At most so many rows.
    #[arg(long, value_name = "ROWS", default_value_t = LIMIT_DEFAULT, value_parser = limit_range())]
    pub limit: u32,
}

/// How many rows may be asked for.
pub(super) fn limit_range() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX))
}

impl Filter {
    /// As the daemon is asked for it.
    #[must_use]
    pub fn select(self) -> Select {
        Select {
            port: self.port,
            address: self.address.map(|prefix| prefix.0),
            limit: self.limit,
        }
    }
}

/// `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Where the daemon is and how its answer is printed.
    #[command(flatten)]
    pub ask: Ask,
    /// What to show.
    #[command(subcommand)]
    pub what: ShowCommand,
}

/// What `show` shows.
#[derive(Debug, Subcommand)]
pub enum ShowCommand {
    /// Ports: whose they are, whether they are up, what went through
    Ports(Filter),
    /// The forwarding database: which MAC is behind which port
    Fdb(Filter),
    /// Security groups: members and rules
    Groups(Filter),
    /// Tracked connections: state, timeout, the rule on each side
    ///
    /// INTERVAL PACKETS and INTERVAL REPLIES (`counted` in JSON) are what the present interval of the flow log
    /// counted: they fall back when it closes. The rule on each side is the one that the connection was last
    /// judged by. A reload judges it anew at its next packet; until then it is marked `(to be judged anew)`,
    /// and `judged_now` is false.
    Connections(ShowConnections),
    /// Flow-log records in the making: the open interval
    Flows(Filter),
    /// Loggers: status and cause, files and rows, what was lost
    Loggers,
    /// What was refused or lost, by port and reason
    Drops(Filter),
    /// Balances what the ports counted against what the log recorded; exits 1 if it does not hold
    Audit,
    /// The daemon as a whole: version, uptime, how full its table is, messages it could not write
    Status,
}

const TRACE_HELP: &str = "\
Packets are written as they are shown:
  tcp 10.77.1.11:40000 > 10.77.1.12:22 syn        udp [fd00::1]:5353 > [ff02::fb]:5353 len=40
  icmp 10.77.1.11 > 10.77.1.12 echo-request       arp who-has 10.77.1.12 tell 10.77.1.11
  eth 0x88cc len=46                               anywhere: from MAC, to MAC, vlan=5, ttl=1
Without `from` and `to` the MAC addresses are those of the sending port and of whoever has the destination.

Example:
  vswitch trace --config lab.yaml --port vm1 'tcp 10.77.1.11:40000 > 10.77.1.12:22 syn'";

/// `trace`.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The port whose guest sends the packet, by name or UUID.
    #[arg(long)]
    pub port: String,
    /// The packet.
    pub packet: String,
    /// Build the switch from this configuration instead of asking the daemon.
    #[arg(long, conflicts_with = "socket")]
    pub config: Option<PathBuf>,
    /// Where the daemon is and how its answer is printed.
    #[command(flatten)]
    pub ask: Ask,
}

/// `top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Control socket of the daemon.
    #[arg(long, visible_alias = "control-socket", value_name = "PATH", default_value_os_t = default_socket())]
    pub socket: PathBuf,
    /// Print one frame as text, with the rates of one interval, and end.
    #[arg(long)]
    pub once: bool,
    /// Seconds between two frames.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub interval: u64,
}

/// `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The configuration, YAML.
    #[arg(long)]
    pub config: PathBuf,
    /// A capture of what this port's guest sent, `-` for standard input; may be given several times.
    #[arg(long = "port", value_name = "PORT=FILE", value_parser = super::replay::port_capture)]
    pub ports: Vec<(String, PathBuf)>,
    /// A capture whose frames are matched to ports by their source MAC, or by their source address where
    /// it holds no MAC; `-` for standard input. pcap or pcapng, also compressed with gzip or zstd.
    #[arg(value_name = "IN.pcap", required_unless_present = "ports")]
    pub capture: Option<PathBuf>,
    /// Write the flow-log files into this directory instead of the loggers' own.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A verdict, as filters name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(super) enum VerdictArg {
    /// Passed.
    Accept,
    /// Refused.
    Drop,
}

/// A direction seen from the instance, as filters name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DirectionArg {
    /// The instance received.
    Ingress,
    /// The instance sent.
    Egress,
    /// No port to take the view of.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_commands_of_the_specification_are_understood() {
        for line in [
            "vswitch demo",
            "vswitch run x.yaml",
            "vswitch run x.yaml --control-socket ./c --state-dir ./s --ready-fd 3",
            "vswitch wait --timeout 5 --port vm1 --port vm2 --control-socket ./c",
            "vswitch reload --json --socket ./c",
            "vswitch lab up x.yaml --state-dir ./s",
            "vswitch show ports --control-socket ./c",
            "vswitch check x.yaml --json",
            "vswitch check --schema",
            "vswitch lab up x.yaml",
            "vswitch lab down x.yaml",
            "vswitch show ports --port vm1 --json",
            "vswitch show connections --address 10.0.0.0/8 --limit 5",
            "vswitch show connections --network lab --protocol tcp --state established",
            "vswitch connections flush --all --json",
            "vswitch connections flush --port vm1 --protocol udp",
            "vswitch show audit --socket /tmp/s",
            "vswitch show --socket /tmp/s --json drops",
            "vswitch trace --port vm1 arp",
            "vswitch logs flowlogs --verdict DROP --since 10m --sort bytes",
            "vswitch logs --follow --json",
            "vswitch logs - --src-port 22 --src-address 10.0.0.1 --dst-address 10.0.0.0/8",
            "vswitch top --once --interval 2 --socket /tmp/s",
            "vswitch replay --config x.yaml --port vm1=a.pcap b.pcap --out d",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in [
            "vswitch",
            "vswitch check",
            "vswitch replay --config x",
            "vswitch run x.yaml --ready-fd 2",
            "vswitch wait --timeout -1",
            "vswitch wait --timeout 18446744073709551615",
            "vswitch show ports --limit 0",
            "vswitch connections",
            "vswitch connections flush",
            "vswitch connections flush --all --port vm1",
            "vswitch connections flush --tuple tcp",
            "vswitch show connections --state open_wide",
            "vswitch connections flush --protocol any",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
