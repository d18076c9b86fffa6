//! Which records are wanted.

use super::LogsArgs;
use super::names::Names;
use crate::cli::args::{DirectionArg, VerdictArg};
use crate::cli::failure::Usage;
use crate::cli::select::{Moment, Prefix};
use crate::config::Kind;
use crate::control::LogRow;
use uuid::Uuid;

/// Names told where one is not known: as many as a screen takes.
const KNOWN_MAX: usize = 20;

/// The filters of a command line; a record passes all of them.
#[derive(Debug, Default)]
pub(super) struct Filter {
    port: Option<PortName>,
    address: Option<Prefix>,
    src_address: Option<Prefix>,
    dst_address: Option<Prefix>,
    src_port: Option<u16>,
    dst_port: Option<u16>,
    verdict: Option<&'static str>,
    direction: Option<&'static str>,
    since: Option<Moment>,
    until: Option<Moment>,
}

/// A port as the user calls it, and the ids that this may be in a file.
#[derive(Debug)]
struct PortName {
    name: String,
    ids: Vec<String>,
    /// The ids are not known, but follow from the name if it is one.
    guessed: bool,
}

impl Filter {
    /// The filters of a command line.
    ///
    /// # Errors
    /// A port that the configuration does not have, where the names are those of one.
    pub(super) fn new(args: &LogsArgs, names: &Names, is_configured: bool) -> Result<Self, Usage> {
        let port = args.port.as_deref();
        Ok(Self {
            port: port
                .map(|name| PortName::new(name, names, is_configured))
                .transpose()?,
            address: args.address,
            src_address: args.src_address,
            dst_address: args.dst_address,
            src_port: args.src_port,
            dst_port: args.dst_port,
            verdict: args.verdict.map(|verdict| match verdict {
                VerdictArg::Accept => "ACCEPT",
                VerdictArg::Drop => "DROP",
            }),
            direction: args.direction.map(|direction| match direction {
                DirectionArg::Ingress => "ingress",
                DirectionArg::Egress => "egress",
                DirectionArg::Unknown => "unknown",
            }),
            since: args.since,
            until: args.until,
        })
    }

    /// The port's name, where nothing tells whether there is a port of that name.
    pub(super) fn guessed_port(&self) -> Option<&str> {
        let port = self.port.as_ref().filter(|port| port.guessed)?;
        Some(&port.name)
    }

    /// The first filter that asks about fields of which the record has none, and those fields.
    pub(super) fn lacks(&self, row: &LogRow) -> Option<(&'static str, &'static [&'static str])> {
        let asked: [(bool, &str, &[&str]); 10] = [
            (
                self.port.is_some(),
                "--port",
                &["interface_id", "vm_id", "interface_name"],
            ),
            (
                self.address.is_some(),
                "--address",
                &["src_addr", "dst_addr"],
            ),
            (self.src_address.is_some(), "--src-address", &["src_addr"]),
            (self.dst_address.is_some(), "--dst-address", &["dst_addr"]),
            (self.src_port.is_some(), "--src-port", &["src_port"]),
            (self.dst_port.is_some(), "--dst-port", &["dst_port"]),
            (self.verdict.is_some(), "--verdict", &["filter"]),
            (self.direction.is_some(), "--direction", &["direction"]),
            (self.since.is_some(), "--since", &["timestamp_end"]),
            (self.until.is_some(), "--until", &["timestamp_start"]),
        ];
        let lacking = asked
            .into_iter()
            .find(|(is_asked, _, fields)| *is_asked && !fields.iter().any(|field| row.has(field)));
        lacking.map(|(_, option, fields)| (option, fields))
    }

    /// Whether a record passes. One that lacks the field that is asked about does not.
    pub(super) fn takes(&self, row: &LogRow) -> bool {
        let number = |wanted: Option<u16>, field| {
            wanted.is_none_or(|wanted| row.number(field) == Some(wanted.into()))
        };
        let inside = |wanted: Option<Prefix>, field| {
            wanted.is_none_or(|prefix| {
                row.address(field)
                    .is_some_and(|address| prefix.contains(address))
            })
        };
        let word = |wanted: Option<&str>, field| {
            wanted.is_none_or(|wanted| row.text(field) == Some(wanted))
        };
        let ends = || {
            [row.address("src_addr"), row.address("dst_addr")]
                .into_iter()
                .flatten()
        };
        self.port.as_ref().is_none_or(|port| port.is_of(row))
            && self
                .address
                .is_none_or(|prefix| ends().any(|address| prefix.contains(address)))
            && inside(self.src_address, "src_addr")
            && inside(self.dst_address, "dst_addr")
            && number(self.src_port, "src_port")
            && number(self.dst_port, "dst_port")
            && word(self.verdict, "filter")
            && word(self.direction, "direction")
            && self.since.is_none_or(|since| {
                row.number("timestamp_end")
                    .is_some_and(|end| end >= since.0)
            })
            && self.until.is_none_or(|until| {
                row.number("timestamp_start")
                    .is_some_and(|start| start < until.0)
            })
    }
}

impl PortName {
    fn new(name: &str, names: &Names, is_configured: bool) -> Result<Self, Usage> {
        let mut ids: Vec<String> = names.port_ids(name).map(str::to_owned).collect();
        // An id may be that of a port or instance that was there when the file was written.
        let id = Uuid::try_parse(name).ok();
        if ids.is_empty() && id.is_none() && is_configured {
            return Err(unknown(name, names));
        }
        let guessed = ids.is_empty() && id.is_none();
        ids.extend(id.map(|id| id.to_string()));
        if guessed {
            // A name without a configuration: the id that follows from it, unless it was given another.
            ids.push(Kind::Port.derive(name).to_string());
        }
        Ok(Self {
            name: name.to_owned(),
            ids,
            guessed,
        })
    }

    fn is_of(&self, row: &LogRow) -> bool {
        let is_id = |field| {
            row.text(field)
                .is_some_and(|id| self.ids.iter().any(|known| known == id))
        };
        row.text("interface_name") == Some(&self.name) || is_id("interface_id") || is_id("vm_id")
    }
}

fn unknown(name: &str, names: &Names) -> Usage {
    let known: Vec<_> = names.ports().take(KNOWN_MAX).collect();
    let more = if names.ports().len() > KNOWN_MAX {
        ", …"
    } else {
        ""
    };
    Usage(format!(
        "the configuration has no port `{name}`; it has {}{more}",
        known.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Cli, Command};
    use clap::Parser;

    fn row() -> LogRow {
        serde_json::from_value(serde_json::json!({
            "timestamp_start": 100, "timestamp_end": 160, "interface_id": Kind::Port.derive("vm1").to_string(),
            "vm_id": "5f7c0c5e-5a5e-5b43-9d3e-1d1c0c7f8a55", "src_addr": "10.77.1.11", "dst_addr": "10.77.1.12",
            "src_port": 40000, "dst_port": 22, "direction": "egress", "filter": "DROP",
        }))
        .unwrap()
    }

    fn takes(words: &str) -> bool {
        let line = ["vswitch", "logs"]
            .into_iter()
            .chain(words.split_whitespace());
        let Command::Logs(args) = Cli::try_parse_from(line).unwrap().command else {
            unreachable!("the command is logs")
        };
        Filter::new(&args, &Names::default(), false)
            .unwrap()
            .takes(&row())
    }

    #[test]
    fn each_filter_lets_through_what_it_names() {
        for words in [
            "",
            "--port vm1",
            "--port 5f7c0c5e-5a5e-5b43-9d3e-1d1c0c7f8a55",
            "--address 10.77.1.12",
            "--address 10.77.0.0/16",
            "--dst-port 22",
            "--src-port 40000",
            "--src-address 10.77.1.11 --dst-address 10.77.1.12",
            "--verdict DROP",
            "--verdict drop --direction egress",
            "--since 160",
            "--until 101",
            "--since 110 --until 120",
        ] {
            assert!(takes(words), "{words}");
        }
    }

    #[test]
    fn each_filter_stops_the_rest() {
        for words in [
            "--port vm2",
            "--address 10.78.0.0/16",
            "--dst-port 80",
            "--src-port 22",
            "--src-address 10.77.1.12",
            "--dst-address 10.77.1.11",
            "--verdict ACCEPT",
            "--direction ingress",
            "--since 161",
            "--until 100",
            "--verdict DROP --dst-port 23",
        ] {
            assert!(!takes(words), "{words}");
        }
    }

    #[test]
    fn a_record_without_the_field_does_not_pass() {
        let empty = LogRow::default();
        assert!(Filter::default().takes(&empty));
        assert!(
            !Filter {
                dst_port: Some(0),
                ..Filter::default()
            }
            .takes(&empty)
        );
        assert!(
            !Filter {
                until: Some(Moment(u64::MAX)),
                ..Filter::default()
            }
            .takes(&empty)
        );
    }

    #[test]
    fn a_filter_whose_field_a_record_has_not_is_named_and_an_empty_field_is_there() {
        let filter = Filter {
            since: Some(Moment(0)),
            dst_port: Some(22),
            ..Filter::default()
        };
        assert_eq!(filter.lacks(&row()), None);
        let lacks = |value| {
            let row: LogRow = serde_json::from_value(value).unwrap();
            filter.lacks(&row).map(|(option, _)| option)
        };
        assert_eq!(
            lacks(serde_json::json!({ "dst_port": 22 })),
            Some("--since")
        );
        let empty = serde_json::json!({ "dst_port": null, "timestamp_end": null });
        assert_eq!(lacks(empty), None);
    }

    #[test]
    fn a_name_is_held_against_the_configuration_where_there_is_one_and_an_id_against_the_files() {
        let text = "region: KR1\nvpcs: [{ name: lab }]\nsubnets: [{ name: app, vpc: lab, cidr: 10.0.0.0/24 }]\n\
                    ports: [{ name: vm1, subnet: app, fixed_ips: [10.0.0.1], tap: { name: t1 } }]\n";
        let (plan, _) = crate::config::Config::parse(text, "test").unwrap();
        let (some, none) = (Names::of_plan(&plan), Names::default());
        let known = PortName::new("vm1", &some, true).unwrap();
        assert!(known.is_of(&row()) && !known.guessed);
        let error = PortName::new("zzz", &some, true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the configuration has no port `zzz`; it has vm1"
        );
        let instance = "5F7C0C5E-5a5e-5b43-9d3e-1d1c0c7f8a55";
        for (names, is_configured) in [(&some, true), (&none, false)] {
            let id = PortName::new(instance, names, is_configured).unwrap();
            assert!(id.is_of(&row()) && !id.guessed);
        }
        assert!(PortName::new("zzz", &none, false).unwrap().guessed);
        // A port that the daemon has no more may still stand in its files.
        assert!(PortName::new("zzz", &some, false).unwrap().guessed);
    }
}
