//! What can be asked.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Rows of a listing, unless asked otherwise.
pub const LIMIT_DEFAULT: u32 = 1000;

/// Rows of a listing at most: some 40 MB of JSON.
pub const LIMIT_MAX: u32 = 100_000;

/// A request: one line of JSON, as in `{"ports":{"port":"vm1"}}` or `"audit"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Ports and their counters.
    Ports(Select),
    /// The forwarding database.
    Fdb(Select),
    /// Security groups, their members and rules.
    Groups(Select),
    /// Tracked connections.
    Connections(ConnectionSelect),
    /// Forgets connections; with `all` and nothing else, every one.
    Flush {
        /// Which ones; its limit means nothing here.
        #[serde(default)]
        connections: ConnectionSelect,
        /// Every one is meant.
        #[serde(default)]
        all: bool,
    },
    /// Records in the making.
    Flows(Select),
    /// Loggers and their status.
    Loggers,
    /// Where the loggers write, and what the ids in their files are called.
    LogSources,
    /// How long the daemon runs, and how full its table of connections is.
    Status,
    /// Refusals and losses by port and reason.
    Drops(Select),
    /// The conservation identity of every port.
    Audit,
    /// What would happen to a packet.
    Trace {
        /// Name or UUID of the port whose guest sends it.
        port: String,
        /// The packet's text form.
        packet: String,
    },
    /// Reads the configuration again.
    Reload,
    /// The records of every interval that closes from now on, a line each, until either side ends.
    Follow,
}

/// Which rows are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Select {
    /// Only of the port with this name or UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Only with an address in this prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpNet>,
    /// At most so many; [`LIMIT_MAX`] is the most there are.
    pub limit: u32,
}

impl Default for Select {
    fn default() -> Self {
        Self {
            port: None,
            address: None,
            limit: LIMIT_DEFAULT,
        }
    }
}

impl Select {
    /// Rows wanted at most.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.min(LIMIT_MAX) as usize
    }

    /// Whether a port of this name and id is wanted.
    #[must_use]
    pub fn takes_port(&self, name: &str, id: impl std::fmt::Display) -> bool {
        self.port
            .as_deref()
            .is_none_or(|port| port == name || port == id.to_string())
    }

    /// Whether one of these addresses is wanted.
    pub fn takes_address(&self, mut addresses: impl Iterator<Item = std::net::IpAddr>) -> bool {
        self.address
            .is_none_or(|prefix| addresses.any(|address| prefix.contains(&address)))
    }
}

/// Which connections are wanted: those that meet everything that is said here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionSelect {
    /// With an end at the port with this name or UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// With an end in the VPC or subnet with this name or UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// With an address in this prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpNet>,
    /// Of this protocol, by name or number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// In this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// That this packet, in its text form, would belong to, whichever way it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tuple: Option<String>,
    /// At most so many; [`LIMIT_MAX`] is the most there are.
    pub limit: u32,
}

impl Default for ConnectionSelect {
    fn default() -> Self {
        Self {
            port: None,
            network: None,
            address: None,
            protocol: None,
            state: None,
            tuple: None,
            limit: LIMIT_DEFAULT,
        }
    }
}

impl ConnectionSelect {
    /// Rows wanted at most.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.min(LIMIT_MAX) as usize
    }

    /// Whether nothing is said that would narrow the choice.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        let limit = self.limit;
        *self
            == Self {
                limit,
                ..Self::default()
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_round_trip_through_their_line() {
        let select = Select {
            port: Some("vm1".into()),
            address: Some("10.0.0.0/8".parse().unwrap()),
            limit: 7,
        };
        let requests = [
            Request::Ports(Select::default()),
            Request::Flows(select),
            Request::Connections(ConnectionSelect {
                tuple: Some("tcp 10.0.0.1:1 > 10.0.0.2:2".into()),
                state: Some("established".into()),
                ..ConnectionSelect::default()
            }),
            Request::Flush {
                connections: ConnectionSelect::default(),
                all: true,
            },
            Request::Audit,
            Request::Status,
            Request::LogSources,
            Request::Trace {
                port: "vm1".into(),
                packet: "tcp 1.2.3.4:5 > 1.2.3.5:6 syn".into(),
            },
            Request::Reload,
            Request::Follow,
        ];
        for request in requests {
            let line = serde_json::to_string(&request).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(
                serde_json::from_str::<Request>(&line).unwrap(),
                request,
                "{line}"
            );
        }
    }

    #[test]
    fn what_a_person_would_type_is_understood() {
        let request: Request = serde_json::from_str(r#"{"flows":{"port":"vm1"}}"#).unwrap();
        assert_eq!(
            request,
            Request::Flows(Select {
                port: Some("vm1".into()),
                ..Select::default()
            })
        );
        assert_eq!(
            serde_json::from_str::<Request>(r#""loggers""#).unwrap(),
            Request::Loggers
        );
        for wrong in [
            r#"{"flows":{"prot":"vm1"}}"#,
            r#""flow""#,
            "{}",
            "[]",
            "{\"trace\":{}}",
        ] {
            assert!(serde_json::from_str::<Request>(wrong).is_err(), "{wrong}");
        }
    }
}
