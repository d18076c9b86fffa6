//! What tshark counts: the outermost IP header of each frame that carries one right behind its link layer,
//! and the ports behind it.

use super::Packets;
use anyhow::{Context, Result};
use std::{
    net::IpAddr,
    path::Path,
    process::{Command, Stdio},
};

/// Layers between a frame's start and its IP header; one VLAN tag may be among them.
const LINKS: [&str; 8] = [
    "eth",
    "ethertype",
    "vlan",
    "sll",
    "raw",
    "null",
    "loop",
    "ip",
];

/// IPv6 extension headers and the field that names what follows.
const EXTENSIONS: [(&str, &str); 5] = [
    ("ipv6.hopopts", "ipv6.hopopts.nxt"),
    ("ipv6.dstopts", "ipv6.dstopts.nxt"),
    ("ipv6.routing", "ipv6.routing.nxt"),
    ("ipv6.fraghdr", "ipv6.fraghdr.nxt"),
    ("ah", "ah.next_header"),
];

/// Layers with ports and the fields that hold them.
const PORTS: [(&str, &str, &str); 5] = [
    ("tcp", "tcp.srcport", "tcp.dstport"),
    ("udp", "udp.srcport", "udp.dstport"),
    ("udplite", "udp.srcport", "udp.dstport"),
    ("sctp", "sctp.srcport", "sctp.dstport"),
    ("dccp", "dccp.srcport", "dccp.dstport"),
];

const OTHER_FIELDS: [&str; 8] = [
    "frame.protocols",
    "ip.src",
    "ip.dst",
    "ip.proto",
    "ip.frag_offset",
    "ipv6.src",
    "ipv6.dst",
    "ipv6.nxt",
];

/// Packets by tuple.
pub(super) fn packets(capture: &Path) -> Result<Packets> {
    let mut fields: Vec<&str> = OTHER_FIELDS.to_vec();
    fields.extend(EXTENSIONS.map(|(_, field)| field));
    fields.extend(
        PORTS
            .iter()
            .flat_map(|(_, source, destination)| [source, destination]),
    );
    fields.sort_unstable();
    fields.dedup();
    let mut command = Command::new("tshark");
    command
        .args([
            "-n",
            "-T",
            "fields",
            "-E",
            "separator=/t",
            "-E",
            "occurrence=f",
        ])
        // Each frame by itself.
        .args(["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"])
        .args(["-o", "tcp.desegment_tcp_streams:FALSE"])
        // A length of 0 is a lie here, and the work of a device there.
        .args(["-o", "ip.tso_support:FALSE"])
        .arg("-r")
        .arg(capture)
        .stdin(Stdio::null());
    for field in &fields {
        command.args(["-e", field]);
    }
    let output = command.output().context("cannot run tshark")?;
    let mut packets = Packets::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let values: Vec<&str> = line.split('\t').collect();
        let get = |field: &str| {
            let place = fields.iter().position(|known| *known == field);
            place
                .and_then(|place| values.get(place))
                .copied()
                .unwrap_or_default()
        };
        if let Some(tuple) = tuple(get) {
            *packets.entry(tuple).or_default() += 1;
        }
    }
    Ok(packets)
}

fn tuple<'a>(get: impl Fn(&str) -> &'a str) -> Option<String> {
    let mut layers = get("frame.protocols").split(':').peekable();
    let mut tags = 0;
    let version = loop {
        match layers.next()? {
            layer @ ("ip" | "ipv6") => break layer,
            "vlan" if tags > 0 => return None,
            "vlan" => tags += 1,
            layer if LINKS.contains(&layer) => {}
            _ => return None,
        }
    };
    let (source, destination, mut protocol) = match version {
        "ip" => (get("ip.src"), get("ip.dst"), get("ip.proto")),
        _ => (get("ipv6.src"), get("ipv6.dst"), get("ipv6.nxt")),
    };
    let mut fragment_offset = number(get("ip.frag_offset")).unwrap_or(0);
    if version == "ipv6" {
        fragment_offset = 0;
        while let Some((_, next)) = layers
            .peek()
            .and_then(|layer| EXTENSIONS.iter().find(|(extension, _)| extension == layer))
        {
            protocol = get(next);
            layers.next();
        }
    }
    let ports = layers
        .peek()
        .filter(|_| fragment_offset == 0)
        .and_then(|layer| PORTS.iter().find(|(with_ports, ..)| with_ports == layer))
        .map_or((0, 0), |(_, source, destination)| {
            let port = |field| number(get(field)).unwrap_or(0);
            (port(source), port(destination))
        });
    let address = |text: &str| text.parse::<IpAddr>().ok();
    let (source, destination) = (address(source)?, address(destination)?);
    let protocol = number(protocol)?;
    Some(format!(
        "{protocol} {source}:{} > {destination}:{}",
        ports.0, ports.1
    ))
}

/// Decimal, or hexadecimal behind `0x`.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
