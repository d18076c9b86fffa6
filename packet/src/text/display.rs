//! Packet → text.

use super::{DEFAULT_INIT_TAG, DEFAULT_WINDOW, IpSpec, PacketSpec, SpecBody, names};
use crate::{Fragment, Headers, Icmp, L4, Mac, Sctp, Tcp, Vlan, sctp_chunk};
use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The text form, then in parentheses what is wrong. The alternate form, `{:#}`, tells the MAC
/// addresses as well.
impl Display for Headers {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut spec = PacketSpec::of(self);
        if !f.alternate() {
            (spec.src_mac, spec.dst_mac) = (None, None);
        }
        Display::fmt(&spec, f)?;
        if self.eth.vlan == Vlan::Double {
            f.write_str(" (two VLAN tags)")?;
        }
        if let Some(defect) = self.defect {
            write!(f, " ({defect})")?;
        }
        if self.bad_checksum {
            f.write_str(" (wrong checksum)")?;
        }
        Ok(())
    }
}

impl Display for PacketSpec {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.body {
            SpecBody::Arp {
                reverse,
                operation,
                sender_mac,
                sender_ip,
                target_ip,
            } => {
                arp(f, *reverse, *operation, *sender_mac, *sender_ip, *target_ip)?;
            }
            SpecBody::Ip(ip) => Display::fmt(ip, f)?,
            SpecBody::Other { ethertype, len } => {
                write!(f, "eth {ethertype:#06x}")?;
                unless(f, "len", *len, 0)?;
            }
        }
        if let Some(vid) = self.vlan {
            write!(f, " vlan={vid}")?;
        }
        if let Some(mac) = self.src_mac {
            write!(f, " from {mac}")?;
        }
        if let Some(mac) = self.dst_mac {
            write!(f, " to {mac}")?;
        }
        Ok(())
    }
}

fn arp(
    f: &mut Formatter<'_>,
    reverse: bool,
    operation: u16,
    sender_mac: Option<Mac>,
    sender: Ipv4Addr,
    target: Ipv4Addr,
) -> fmt::Result {
    match (reverse, operation, sender_mac) {
        (false, 2, Some(mac)) => {
            write!(f, "arp reply {sender} is-at {mac}")?;
            return if sender == target {
                Ok(())
            } else {
                write!(f, " tell {target}")
            };
        }
        (false, 1, _) => write!(f, "arp who-has {target} tell {sender}")?,
        _ => {
            let name = if reverse { "rarp" } else { "arp" };
            write!(f, "{name} op={operation} {sender} > {target}")?;
        }
    }
    sender_mac.map_or(Ok(()), |mac| write!(f, " sender-mac={mac}"))
}

impl Display for IpSpec {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match names::protocol_name(self.protocol, self.is_v4()) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "proto={}", self.protocol)?,
        }
        let (src_port, dst_port) = self.ports().unzip();
        f.write_str(" ")?;
        address(f, self.src, src_port)?;
        f.write_str(" > ")?;
        address(f, self.dst, dst_port)?;
        match &self.l4 {
            L4::Tcp(header) => tcp(f, header)?,
            L4::Icmp(header) => icmp(f, self.protocol, *header)?,
            L4::Sctp(header) => sctp(f, header)?,
            L4::Dccp(header) => named(f, &names::DCCP_TYPES, "type", header.kind)?,
            L4::Udp { .. } | L4::Ports { .. } | L4::Opaque => {}
        }
        if let Some(target) = self.target {
            write!(f, " target={target}")?;
        }
        if let Some(mac) = self.link_layer {
            write!(f, " lladdr={mac}")?;
        }
        if self.fragment.is_none() {
            unless(f, "len", self.len, self.default_len())?;
        }
        unless(f, "ttl", self.ttl, self.default_ttl())?;
        self.fragment.map_or(Ok(()), |part| fragment(f, part))
    }
}

impl IpSpec {
    fn ports(&self) -> Option<(u16, u16)> {
        self.l4.ports()
    }
}

fn address(f: &mut Formatter<'_>, address: IpAddr, port: Option<u16>) -> fmt::Result {
    match port {
        Some(port) => write!(f, "{}", SocketAddr::new(address, port)),
        None => write!(f, "{address}"),
    }
}

fn tcp(f: &mut Formatter<'_>, tcp: &Tcp) -> fmt::Result {
    let mut separator = " ";
    if tcp.flags == 0 {
        f.write_str(" none")?;
    }
    for (name, bit) in names::FLAGS {
        if tcp.flags & bit != 0 {
            write!(f, "{separator}{name}")?;
            separator = ",";
        }
    }
    unless(f, "seq", tcp.seq, 0)?;
    unless(f, "ack", tcp.ack, 0)?;
    unless(f, "win", tcp.window, DEFAULT_WINDOW)?;
    if let Some(shift) = tcp.window_scale {
        write!(f, " wscale={shift}")?;
    }
    tcp.sack.map_or(Ok(()), |edge| write!(f, " sack={edge}"))
}

fn icmp(f: &mut Formatter<'_>, protocol: u8, icmp: Icmp) -> fmt::Result {
    match names::icmp_name(protocol, icmp.kind) {
        Some(name) => write!(f, " {name}")?,
        None => write!(f, " type={}", icmp.kind)?,
    }
    unless(f, "code", icmp.code, 0)?;
    unless(f, "id", icmp.id, 0)
}

fn sctp(f: &mut Formatter<'_>, sctp: &Sctp) -> fmt::Result {
    match sctp.chunk {
        Some(kind) => named(f, &names::SCTP_CHUNKS, "chunk", kind)?,
        None => f.write_str(" none")?,
    }
    if sctp.reflected {
        f.write_str(" reflected")?;
    }
    unless(f, "tag", sctp.tag, 0)?;
    let silent = match sctp.chunk {
        Some(sctp_chunk::INIT | sctp_chunk::INIT_ACK) => DEFAULT_INIT_TAG,
        _ => 0,
    };
    unless(f, "init-tag", sctp.init_tag, silent)
}

/// ` name`, or ` key=number` where the number has none.
fn named(
    f: &mut Formatter<'_>,
    names: &[(&'static str, u8)],
    key: &str,
    number: u8,
) -> fmt::Result {
    match names::name_of(names, number) {
        Some(name) => write!(f, " {name}"),
        None => write!(f, " {key}={number}"),
    }
}

fn fragment(f: &mut Formatter<'_>, part: Fragment) -> fmt::Result {
    let more = if part.more { ":+" } else { "" };
    write!(f, " frag={}:{}:{}{more}", part.id, part.offset, part.len)
}

/// ` key=value`, unless the value goes without saying.
fn unless<T: Display + PartialEq>(
    f: &mut Formatter<'_>,
    key: &str,
    value: T,
    silent: T,
) -> fmt::Result {
    if value == silent {
        Ok(())
    } else {
        write!(f, " {key}={value}")
    }
}
