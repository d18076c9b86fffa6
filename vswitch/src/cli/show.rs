//! `vswitch show`: asks the daemon and prints rows.

use super::args::{Ask, ShowArgs, ShowCommand};
use super::failure::FAILED;
use super::output::Output;
use super::select::utc;
use super::style::Paint;
use super::table::{Align, Cell, Table};
use crate::control::{
    AuditRow, ConnectionRow, DropRow, FdbRow, FlowRow, GroupRow, Listing, LoggerRow, PortRow,
    Reply, Request, SideText, StatusRow, ask,
};
use crate::lab::Lack;
use crate::messages::note;
use Align::{Left, Right};
use anyhow::{Result, bail};
use packet::text::icmp_name;
use secgroup::conntrack::query;
use serde::Serialize;
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

/// Asks and prints. An audit that does not hold exits with 1.
pub(super) fn show(ShowArgs { ask: from, what }: ShowArgs) -> Result<ExitCode> {
    let request = request(what);
    let reply = ask(&from.socket, &request)?;
    let mut out = Output::stdout();
    let mut code = ExitCode::SUCCESS;
    match reply {
        Reply::Ports(rows) => {
            let missing = missing(&rows.rows);
            print(&mut out, &from, rows, "no ports", ports)?;
            if !from.json {
                missing.into_iter().for_each(note);
            }
        }
        Reply::Fdb(rows) => print(
            &mut out,
            &from,
            rows,
            "the forwarding database is empty",
            fdb,
        )?,
        Reply::Groups(rows) if !from.json => groups(&mut out, &rows.rows)?,
        Reply::Groups(rows) => out.json(&rows.rows)?,
        Reply::Connections(rows) => print(&mut out, &from, rows, "no connections", connections)?,
        Reply::Flows(rows) => print(
            &mut out,
            &from,
            rows,
            "no flows in the open interval",
            flows,
        )?,
        Reply::Loggers(rows) => print(&mut out, &from, rows, "no loggers", loggers)?,
        Reply::Drops(rows) => print(&mut out, &from, rows, "nothing was refused or lost", drops)?,
        Reply::Audit(rows) => {
            if rows.rows.iter().any(|row| !row.holds) {
                code = ExitCode::from(FAILED);
            }
            print(&mut out, &from, rows, "no ports", audit)?;
        }
        Reply::Status(row) if from.json => out.json(&row)?,
        Reply::Status(row) => out.table(&status(&row))?,
        Reply::Flushed(_)
        | Reply::LogSources(_)
        | Reply::Trace(_)
        | Reply::Reloaded(_)
        | Reply::Record(_)
        | Reply::Missed(_)
        | Reply::Error(_) => {
            bail!("the daemon answered something else than was asked; is it of another version?")
        }
    }
    out.flush()?;
    Ok(code)
}

fn request(command: ShowCommand) -> Request {
    match command {
        ShowCommand::Ports(filter) => Request::Ports(filter.select()),
        ShowCommand::Fdb(filter) => Request::Fdb(filter.select()),
        ShowCommand::Groups(filter) => Request::Groups(filter.select()),
        ShowCommand::Connections(filter) => Request::Connections(filter.select()),
        ShowCommand::Flows(filter) => Request::Flows(filter.select()),
        ShowCommand::Loggers => Request::Loggers,
        ShowCommand::Drops(filter) => Request::Drops(filter.select()),
        ShowCommand::Audit => Request::Audit,
        ShowCommand::Status => Request::Status,
    }
}

fn print<T: Serialize>(
    out: &mut Output,
    from: &Ask,
    listing: Listing<T>,
    nothing: &str,
    table: fn(&[T]) -> Table,
) -> Result<()> {
    if from.json {
        out.json(&listing.rows)?;
    } else {
        out.table(&table(&listing.rows))?;
    }
    out.flush()?;
    if listing.rows.is_empty() && !from.json {
        note(nothing);
    }
    if listing.more {
        note(format_args!(
            "there are more than these {}; narrow them down, or raise --limit",
            listing.rows.len()
        ));
    }
    Ok(())
}

fn status(row: &StatusRow) -> Table {
    let mut table = Table::new(&[
        ("VERSION", Left),
        ("UPTIME", Right),
        ("CONNECTIONS", Right),
        ("OF", Right),
        ("MESSAGES LOST", Right),
        ("CAUSE", Left),
    ]);
    table.row([
        Cell::painted(Paint::Strong, &row.version),
        format!("{} s", row.uptime_s).into(),
        Cell::count(row.connections.into()),
        Cell::count(row.connections_max.into()),
        Cell::loss(row.messages_lost),
        row.messages_cause.clone().unwrap_or_default().into(),
    ]);
    table
}

fn ports(rows: &[PortRow]) -> Table {
    let mut table = Table::new(&[
        ("PORT", Left),
        ("INSTANCE", Left),
        ("SUBNET", Left),
        ("MAC", Left),
        ("ADDRESSES", Left),
        ("STATE", Left),
        ("RX", Right),
        ("TX", Right),
        ("DROPS", Right),
        ("TX LOST", Right),
        ("CONNECTIONS", Right),
        ("GROUPS", Left),
    ]);
    for row in rows {
        let state = match (row.up, row.write_ns) {
            (true, _) if !row.missing.is_empty() => Cell::painted(Paint::Bad, "incomplete"),
            (true, Some(ns)) => Cell::painted(Paint::Bad, format!("up, slow ({} us)", ns / 1000)),
            (true, None) if row.threaded => Cell::painted(Paint::Good, "up, own thread"),
            (true, None) => Cell::painted(Paint::Good, "up"),
            (false, _) => Cell::painted(Paint::Bad, "down"),
        };
        let groups = if row.uplink {
            "(uplink)".to_owned()
        } else {
            list(&row.security_groups, "-")
        };
        table.row([
            Cell::painted(Paint::Strong, &row.name),
            (&row.instance).into(),
            (&row.subnet).into(),
            (&row.mac).into(),
            list(&row.addresses, "-").into(),
            state,
            Cell::count(row.rx),
            Cell::count(row.tx),
            Cell::loss(row.drops),
            Cell::loss(row.tx_lost),
            Cell::count(row.connections.into()),
            groups.into(),
        ]);
    }
    table
}

/// What ports do without, a line for each part.
fn missing(rows: &[PortRow]) -> Vec<String> {
    let of_row = |row: &PortRow| {
        let line = |lack: &Lack| format!("port {}: {lack}", row.name);
        row.missing.iter().map(line).collect::<Vec<_>>()
    };
    rows.iter().flat_map(of_row).collect()
}

fn fdb(rows: &[FdbRow]) -> Table {
    let mut table = Table::new(&[
        ("SUBNET", Left),
        ("MAC", Left),
        ("PORT", Left),
        ("HEARD", Left),
    ]);
    for row in rows {
        let heard = row
            .heard_ms_ago
            .map_or_else(|| "static".to_owned(), |ms| format!("{} s ago", ms / 1000));
        table.row([
            (&row.subnet).into(),
            (&row.mac).into(),
            (&row.port).into(),
            heard.into(),
        ]);
    }
    table
}

/// Groups have lists inside, so they are no table.
fn groups(out: &mut Output, rows: &[GroupRow]) -> Result<()> {
    let style = out.style();
    for (place, row) in rows.iter().enumerate() {
        let gap = if place == 0 { "" } else { "\n" };
        let stateless = if row.stateful { "" } else { "  stateless" };
        writeln!(
            out,
            "{gap}{}{stateless}  {}",
            style.paint(Paint::Strong, &row.name),
            style.paint(Paint::Faint, row.id)
        )?;
        for (port, addresses) in &row.members {
            writeln!(out, "  member {port}  {}", list(addresses, "-"))?;
        }
        for rule in &row.rules {
            writeln!(out, "  rule   {rule}")?;
        }
        if row.members.is_empty() {
            writeln!(out, "  {}", style.paint(Paint::Faint, "no members"))?;
        }
        if row.rules.is_empty() {
            writeln!(
                out,
                "  {}",
                style.paint(Paint::Faint, "no rules: allows nothing")
            )?;
        }
    }
    Ok(())
}

fn connections(rows: &[ConnectionRow]) -> Table {
    let mut table = Table::new(&[
        ("PROTO", Left),
        ("SOURCE", Left),
        ("DESTINATION", Left),
        ("FROM", Left),
        ("TO", Left),
        ("STATE", Left),
        ("EXPIRES", Right),
        ("INTERVAL PACKETS", Right),
        ("INTERVAL REPLIES", Right),
        ("EGRESS", Left),
        ("INGRESS", Left),
    ]);
    for row in rows {
        let [from, to] = &row.ports;
        let judged = |of: &Option<SideText>| side(of, row.judged_now);
        let [egress, ingress] = row.sides.each_ref().map(judged);
        table.row([
            protocol(row).into(),
            row.source.to_string().into(),
            row.destination.to_string().into(),
            from.into(),
            to.into(),
            (&row.state).into(),
            format!("{} s", row.expires_in_s).into(),
            Cell::count(row.counted[0].packets.into()),
            Cell::count(row.counted[1].packets.into()),
            egress,
            ingress,
        ]);
    }
    table
}

/// The protocol; an ICMP query is told from others by its type and identifier, for it has no ports.
fn protocol(row: &ConnectionRow) -> String {
    let (Some(kind), Some(id)) = (row.icmp_type, row.icmp_id) else {
        return row.protocol.clone();
    };
    // Only echo, timestamp, information, address mask and node information ask; their numbers are
    // not the same in the two families.
    let name = [packet::protocol::ICMP, packet::protocol::ICMPV6]
        .into_iter()
        .filter(|&number| query(number, kind).is_some())
        .find_map(|number| icmp_name(number, kind));
    match name {
        Some(name) => format!("{} {name} id={id}", row.protocol),
        None => format!("{} type={kind} id={id}", row.protocol),
    }
}

/// What a side was judged by, and whether that is still so.
fn side(side: &Option<SideText>, judged_now: bool) -> Cell {
    let Some(side) = side else { return "-".into() };
    let paint = Paint::of_verdict(side.verdict.starts_with("ACCEPT"));
    let by = side.rule.as_ref().unwrap_or(&side.verdict);
    if judged_now {
        Cell::painted(paint, by)
    } else {
        Cell::painted(Paint::Faint, format!("{by} (to be judged anew)"))
    }
}

fn flows(rows: &[FlowRow]) -> Table {
    let mut table = Table::new(&[
        ("PORT", Left),
        ("DIRECTION", Left),
        ("PROTO", Left),
        ("SOURCE", Left),
        ("DESTINATION", Left),
        ("FLAGS", Right),
        ("PACKETS", Right),
        ("BYTES", Right),
        ("VERDICT", Left),
        ("REASON", Left),
    ]);
    for row in rows {
        table.row([
            (&row.port).into(),
            (&row.direction).into(),
            (&row.protocol).into(),
            row.source.to_string().into(),
            row.destination.to_string().into(),
            Cell::count(row.tcp_flag.into()),
            Cell::count(row.packets.into()),
            Cell::count(row.bytes.into()),
            Cell::painted(Paint::of_verdict(row.filter == "ACCEPT"), &row.filter),
            (&row.reason).into(),
        ]);
    }
    table
}

fn loggers(rows: &[LoggerRow]) -> Table {
    let mut table = Table::new(&[
        ("LOGGER", Left),
        ("STATUS", Left),
        ("LAST INTERVAL", Left),
        ("FILES", Right),
        ("ROWS", Right),
        ("WAITING", Right),
        ("ROWS LOST", Right),
        ("SKIPPED", Right),
        ("CAUSE", Left),
    ]);
    for row in rows {
        let paint = match row.status.as_str() {
            "ACTIVE" => Paint::Good,
            "ERROR" => Paint::Bad,
            _ => Paint::Faint,
        };
        let cause = match (&row.cause, &row.last_error) {
            (Some(cause), _) => cause.clone(),
            (None, Some(error)) => format!("before: {error}"),
            (None, None) => String::new(),
        };
        table.row([
            Cell::painted(Paint::Strong, &row.name),
            Cell::painted(paint, &row.status),
            row.last_interval.map_or_else(|| "-".to_owned(), utc).into(),
            Cell::count(row.files),
            Cell::count(row.rows),
            Cell::loss(row.waiting_files),
            Cell::loss(row.rows_lost),
            Cell::loss(row.skipped_packets),
            cause.into(),
        ]);
    }
    table
}

fn drops(rows: &[DropRow]) -> Table {
    let mut table = Table::new(&[
        ("PORT", Left),
        ("REASON", Left),
        ("PACKETS", Right),
        ("MEANING", Left),
    ]);
    for row in rows {
        let paint = if row.is_verdict {
            Paint::Bad
        } else {
            Paint::Warn
        };
        table.row([
            (&row.port).into(),
            Cell::painted(paint, &row.reason),
            row.packets.into(),
            (&row.meaning).into(),
        ]);
    }
    table
}

pub(super) fn audit(rows: &[AuditRow]) -> Table {
    let mut table = Table::new(&[
        ("PORT", Left),
        ("HOLDS", Left),
        ("RX", Right),
        ("EGRESS ACCEPT", Right),
        ("EGRESS DROP", Right),
        ("OFFERED", Right),
        ("INGRESS ACCEPT", Right),
        ("INGRESS DROP", Right),
        ("NOT RECORDED", Right),
        ("SKIPPED", Right),
        ("HELD", Right),
        ("DELIVERED + LOST", Right),
        ("DIFFERENCE", Left),
    ]);
    for row in rows {
        let holds = if row.holds {
            Cell::painted(Paint::Good, "yes")
        } else {
            Cell::painted(Paint::Bad, "NO")
        };
        let equations = [
            ("rx", row.rx),
            ("offered", row.offered),
            ("delivered", row.delivered),
        ];
        let broken = equations
            .iter()
            .filter(|(_, [counted, recorded])| counted != recorded);
        let difference: Vec<String> = broken
            .map(|(name, [counted, recorded])| format!("{name} {counted}, recorded {recorded}"))
            .collect();
        table.row([
            Cell::painted(Paint::Strong, &row.port),
            holds,
            Cell::count(row.rx[0]),
            Cell::count(row.egress_accept),
            Cell::count(row.egress_drop),
            Cell::count(row.offered[0]),
            Cell::count(row.ingress_accept),
            Cell::count(row.ingress_drop),
            Cell::count(row.not_recorded),
            Cell::loss(row.skipped),
            Cell::count(row.held),
            Cell::count(row.delivered[0]),
            Cell::painted(Paint::Bad, difference.join("; ")),
        ]);
    }
    table
}

/// Values with commas between; `none` where there are none.
fn list<T: Display>(values: &[T], none: &str) -> String {
    if values.is_empty() {
        return none.to_owned();
    }
    values
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::style::Style;
    use crate::control::Counted;

    fn row(protocol: &str, icmp: Option<(u8, u16)>) -> ConnectionRow {
        ConnectionRow {
            protocol: protocol.into(),
            icmp_type: icmp.map(|(kind, _)| kind),
            icmp_id: icmp.map(|(_, id)| id),
            source: "10.99.1.12".parse().unwrap(),
            destination: "10.99.1.11".parse().unwrap(),
            ports: ["a".into(), "b".into()],
            state: "established".into(),
            expires_in_s: 29,
            sides: [None, None],
            judged_now: true,
            counted: [Counted {
                packets: 1,
                bytes: 84,
            }; 2],
        }
    }

    #[test]
    fn an_icmp_query_is_shown_with_type_and_identifier_and_without_ports() {
        let row = row("icmp", Some((8, 777)));
        assert_eq!(protocol(&row), "icmp echo-request id=777");
        let mut text = Vec::new();
        connections(std::slice::from_ref(&row))
            .write(&mut text, Style::PLAIN)
            .unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(
            text.contains("icmp echo-request id=777  10.99.1.12  10.99.1.11   a "),
            "{text}"
        );
        let json = serde_json::to_value(&row).unwrap();
        assert_eq!(
            (&json["icmp_type"], &json["icmp_id"], &json["source"]),
            (&8.into(), &777.into(), &"10.99.1.12".into())
        );
    }

    #[test]
    fn a_side_that_is_yet_to_be_judged_by_the_present_policy_says_so() {
        let judged = Some(SideText {
            verdict: "ACCEPT(rule)".into(),
            rule: Some("ingress IPv4 tcp 22 from any".into()),
            rule_id: None,
            security_group_id: None,
        });
        let before = "ingress IPv4 tcp 22 from any (to be judged anew)";
        assert_eq!(side(&judged, false).text(), before);
        assert_eq!(side(&judged, true).text(), "ingress IPv4 tcp 22 from any");
        assert_eq!(side(&None, false).text(), "-");
    }

    #[test]
    fn what_is_no_query_is_shown_by_its_protocol_alone() {
        assert_eq!(protocol(&row("gre", None)), "gre");
        assert_eq!(
            protocol(&row("icmp", Some((15, 1)))),
            "icmp type=15 id=1",
            "a type without a name"
        );
        let json = serde_json::to_value(row("tcp", None)).unwrap();
        assert!(json.get("icmp_id").is_none());
    }
}
