//! What is answered: rows that say everything in words, for a table as for a script.

use super::end::End;
use super::record::LogRow;
use crate::lab::Lack;
use crate::run::Reloaded;
use crate::switch::{Balance, PortAudit};
use crate::trace::Trace;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;
use uuid::Uuid;

/// A reply: one line of JSON, keyed by what was asked; or an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each answers the request of its name")]
pub enum Reply {
    Ports(Listing<PortRow>),
    Fdb(Listing<FdbRow>),
    Groups(Listing<GroupRow>),
    Connections(Listing<ConnectionRow>),
    /// Connections that were forgotten.
    Flushed(u64),
    Flows(Listing<FlowRow>),
    Loggers(Listing<LoggerRow>),
    LogSources(LogSources),
    Drops(Listing<DropRow>),
    Status(StatusRow),
    Audit(Listing<AuditRow>),
    Trace(Trace),
    /// What a reload changed.
    Reloaded(Reloaded),
    /// One live record.
    Record(LogRow),
    /// Live records that are not in the stream at this point.
    Missed(MissedRow),
    /// Why there is no answer.
    Error(String),
}

/// What a stream of records lacks at one point, because it was read too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissedRow {
    /// Intervals of which the rest, or all, is missing; 0 where one had more records than a stream has.
    pub intervals: u64,
    /// Their records; all of them are in the files.
    pub records: u64,
}

/// The daemon as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRow {
    /// Its version.
    pub version: String,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// Live connections, and how many there may be.
    pub connections: u32,
    #[expect(missing_docs, reason = "told with the one before")]
    pub connections_max: u32,
    /// Milliseconds since the window began in which connections and flows are counted.
    pub window_age_ms: u64,
    /// Messages of the daemon's own log that could not be written, and why the last one could not.
    #[serde(default)]
    pub messages_lost: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[expect(missing_docs, reason = "told with the one before")]
    pub messages_cause: Option<String>,
}

/// Rows, and whether there are more than were wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Whether the limit left rows out.
    pub more: bool,
}

impl<T> Listing<T> {
    /// All rows there are.
    #[must_use]
    pub const fn all(rows: Vec<T>) -> Self {
        Self { rows, more: false }
    }

    /// The first `limit` of them.
    #[must_use]
    pub fn limited(mut rows: Vec<T>, limit: usize) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        Self { rows, more }
    }
}

/// A port. Packets are wire packets, bytes those of IP; rx and tx are seen from the switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the names are the configuration's and the counters'"
)]
pub struct PortRow {
    pub name: String,
    pub id: Uuid,
    pub instance: String,
    pub subnet: String,
    pub uplink: bool,
    pub mac: String,
    pub addresses: Vec<IpAddr>,
    pub security_groups: Vec<String>,
    pub up: bool,
    pub rx: u64,
    pub rx_bytes: u64,
    pub tx: u64,
    pub tx_bytes: u64,
    /// Refusals of all reasons told at this port.
    pub drops: u64,
    /// Accepted, but the guest's queue did not take it.
    pub tx_lost: u64,
    /// Of these, how many because the guest's network stack had used up its share of a worker's time.
    #[serde(default)]
    pub tx_over_share: u64,
    /// What handing a packet to the guest takes, nanoseconds on average, where that is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_ns: Option<u64>,
    /// Whether the guest's network stack has a kernel thread of its own.
    #[serde(default)]
    pub threaded: bool,
    /// Not in the flow log for lack of capacity.
    pub skipped: u64,
    /// Live connections that it opened, and how many it may as the table is filled now.
    pub connections: u32,
    pub connections_max: u32,
    /// What of its interface is not as the configuration says, and why.
    #[serde(default)]
    pub missing: Vec<Lack>,
}

/// A MAC and the port behind which it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdbRow {
    /// The subnet: its segment.
    pub subnet: String,
    /// The MAC.
    pub mac: String,
    /// The port's name.
    pub port: String,
    /// Milliseconds since it was heard; absent for what the configuration says.
    pub heard_ms_ago: Option<u32>,
}

/// A security group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRow {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub id: Uuid,
    /// Whether replies pass by connection state.
    pub stateful: bool,
    /// Ports in it, with their addresses.
    pub members: Vec<(String, Vec<IpAddr>)>,
    /// Its rules in canonical form.
    pub rules: Vec<String>,
}

/// Packets and bytes of one way in the open window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Wire packets.
    pub packets: u32,
    /// IP bytes.
    pub bytes: u32,
}

/// A tracked connection, seen from its originator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRow {
    /// Protocol's name.
    pub protocol: String,
    /// Of an ICMP query: the type of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp_type: Option<u8>,
    /// Of an ICMP query: its identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp_id: Option<u16>,
    /// Source of the first packet.
    pub source: End,
    /// Its destination.
    pub destination: End,
    /// The originator's port and the other end's.
    pub ports: [String; 2],
    /// State, as connection tracking calls it.
    pub state: String,
    /// Seconds until it expires, as things stand.
    pub expires_in_s: u32,
    /// Verdict and rule of the original direction, as last judged: the originator's egress, the other end's
    /// ingress.
    pub sides: [Option<SideText>; 2],
    /// Whether `sides` is what the present policy says. After a reload, and where a flood opened the
    /// connection, it is not until the next packet, which is judged anew.
    pub judged_now: bool,
    /// What the present interval counted, original and reply; its end begins again at nothing.
    pub counted: [Counted; 2],
}

/// One side's judgement in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideText {
    /// `ACCEPT(rule)`, `DROP(default_deny)`.
    pub verdict: String,
    /// The rule behind it, and its group, where there is one.
    pub rule: Option<String>,
    /// The rule's id, as the flow log writes it.
    pub rule_id: Option<Uuid>,
    /// Its group's id, likewise.
    pub security_group_id: Option<Uuid>,
}

/// A flow-log record in the making.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the flow log's")]
pub struct FlowRow {
    pub port: String,
    pub direction: String,
    pub protocol: String,
    pub source: End,
    pub destination: End,
    pub tcp_flag: u8,
    pub packets: u32,
    pub bytes: u32,
    /// `ACCEPT` or `DROP`.
    pub filter: String,
    pub reason: String,
}

/// A logger and how it fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggerRow {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub id: Uuid,
    /// `ACTIVE`, `BUILD`, `INACTIVE` or `ERROR`.
    pub status: String,
    /// Why, in state ERROR.
    pub cause: Option<String>,
    /// Start of the interval closed last, UNIX seconds.
    pub last_interval: Option<u64>,
    /// Files its store has; of an exporter, messages sent.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Rows that are lost: not written, given up by the spool, not sent.
    pub rows_lost: u64,
    /// Files given up by the spool.
    pub files_lost: u64,
    /// Files that wait for their store.
    pub waiting_files: u64,
    /// Their size on disk, bytes.
    pub waiting_bytes: u64,
    /// Start of the oldest one's interval, UNIX seconds.
    pub waiting_since: Option<u64>,
    /// What kind of trouble there is with the store: `credentials`, `missing`, `permission`, `clock`,
    /// `taken`, `refused`, `unreachable`, `busy`, `full`.
    pub store: Option<String>,
    /// Packets not recorded for lack of capacity.
    pub skipped_packets: u64,
    /// The last error, even if it has passed.
    pub last_error: Option<String>,
}

/// Where the flow log is, for who reads it on the daemon's host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogSources {
    /// The loggers.
    pub loggers: Vec<LogSource>,
    /// The ports that there are now.
    pub ports: Vec<NamedPort>,
    /// The security groups that there are now.
    pub groups: Vec<NamedGroup>,
}

/// Where one logger writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSource {
    /// The logger.
    pub name: String,
    /// Its id, part of its files' names.
    pub id: Uuid,
    /// Its store, as messages call it.
    pub storage: String,
    /// The directory, absolute; absent where the files go elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
}

/// What the ids of a port's records are called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedPort {
    /// `interface_id`.
    pub id: Uuid,
    /// `interface_name`.
    pub name: String,
    /// `instance_name`.
    pub instance: String,
    /// `vpc_id`.
    pub vpc_id: Uuid,
    /// The addresses it has by configuration; an uplink those of its gateway.
    pub addresses: Vec<IpAddr>,
}

/// What a security group's id is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedGroup {
    /// `security_group_id`.
    pub id: Uuid,
    /// `security_group_name`.
    pub name: String,
}

/// Packets that did not arrive, at one port for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropRow {
    /// The port.
    pub port: String,
    /// A reason of `docs/drops.md`, or `tx_lost`, or `no_port`.
    pub reason: String,
    /// Whether it is a verdict; else it is a loss or a frame that nobody takes.
    pub is_verdict: bool,
    /// Wire packets.
    pub packets: u64,
    /// What it means.
    pub meaning: String,
}

/// The conservation identity of one port, in wire packets:
///
/// ```text
///   rx                  = egress_accept + egress_drop + not recorded + skipped + held
///   offered             = ingress_accept + ingress_drop + not recorded + skipped
///   delivered + tx_lost = ingress_accept + what was accepted of the not recorded and the skipped
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// The port.
    pub port: String,
    /// Whether all three hold.
    pub holds: bool,
    /// First equation: what the port counted, what the rest adds up to.
    pub rx: [u64; 2],
    /// Second equation, likewise.
    pub offered: [u64; 2],
    /// Third equation, likewise.
    pub delivered: [u64; 2],
    /// Records with direction egress, ACCEPT.
    pub egress_accept: u64,
    /// Records with direction egress, DROP.
    pub egress_drop: u64,
    /// Records with direction ingress, ACCEPT.
    pub ingress_accept: u64,
    /// Records with direction ingress, DROP.
    pub ingress_drop: u64,
    /// Not recorded by kind (IPv6, ARP, …), both directions.
    pub not_recorded: u64,
    /// Not recorded for lack of capacity, both directions.
    pub skipped: u64,
    /// Fragments that wait for their datagram.
    pub held: u64,
    /// Accepted, but the guest's queue did not take it.
    pub tx_lost: u64,
}

impl From<PortAudit> for AuditRow {
    fn from(audit: PortAudit) -> Self {
        let holds = audit.holds();
        let balance = |balance: Balance| [balance.counted, balance.recorded];
        let [egress_accept, egress_drop, ingress_accept, ingress_drop] = audit.recorded;
        Self {
            port: audit.port,
            holds,
            rx: balance(audit.rx),
            offered: balance(audit.offered),
            delivered: balance(audit.delivered),
            egress_accept,
            egress_drop,
            ingress_accept,
            ingress_drop,
            not_recorded: audit.not_recorded,
            skipped: audit.skipped,
            held: audit.held,
            tx_lost: audit.tx_lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_round_trip_through_their_line() {
        let row = ConnectionRow {
            protocol: "tcp".into(),
            icmp_type: None,
            icmp_id: None,
            source: "10.0.0.1:40000".parse().unwrap(),
            destination: "[fd00::2]:22".parse().unwrap(),
            ports: ["a".into(), "b".into()],
            state: "established".into(),
            expires_in_s: 9,
            sides: [
                Some(SideText {
                    verdict: "ACCEPT(rule)".into(),
                    rule: Some("egress IPv4 any to any".into()),
                    rule_id: Some(Uuid::nil()),
                    security_group_id: None,
                }),
                None,
            ],
            judged_now: true,
            counted: [Counted {
                packets: 1,
                bytes: 40,
            }; 2],
        };
        let replies = [
            Reply::Connections(Listing::limited(vec![row.clone(), row], 1)),
            Reply::Missed(MissedRow {
                intervals: 1,
                records: 3,
            }),
            Reply::Error("no".into()),
        ];
        for reply in replies {
            let line = serde_json::to_string(&reply).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(
                serde_json::from_str::<Reply>(&line).unwrap(),
                reply,
                "{line}"
            );
        }
    }

    #[test]
    fn a_listing_says_when_it_was_cut() {
        assert_eq!(Listing::limited(vec![1, 2], 2), Listing::all(vec![1, 2]));
        assert_eq!(
            Listing::limited(vec![1, 2, 3], 2),
            Listing {
                rows: vec![1, 2],
                more: true
            }
        );
    }
}
