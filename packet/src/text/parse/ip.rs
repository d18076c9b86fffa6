//! Text → IP packet.

use super::{A_KIND, A_MAC, SpecError, Words, after, payload_len, wrong};
use crate::text::{DEFAULT_INIT_TAG, DEFAULT_TTL, DEFAULT_WINDOW, IpSpec, PAYLOAD_MAX, names};
use crate::{Dccp, Fragment, Icmp, L4, Sctp, Tcp, dccp_type, protocol, sctp_chunk, tcp_flags};
use std::net::{IpAddr, SocketAddr};

pub(super) fn parse(kind: &str, words: &mut Words<'_>) -> Result<IpSpec, SpecError> {
    let mut protocol = match kind.strip_prefix("proto=") {
        Some(number) => after(kind, number, "proto= and a number up to 255")?,
        None => names::protocol_number(kind).ok_or_else(|| wrong(kind, A_KIND))?,
    };
    let src = Endpoint::parse(words)?;
    words.literal(">")?;
    let dst = Endpoint::parse(words)?;
    if src.address.is_ipv4() != dst.address.is_ipv4() {
        return Err(wrong(dst.word, "an address of the source's family"));
    }
    if kind == "icmp" && src.address.is_ipv6() {
        protocol = protocol::ICMPV6;
    }
    if kind == "icmpv6" && src.address.is_ipv4() {
        return Err(wrong(kind, "icmp with IPv4 addresses"));
    }
    let mut draft = Draft::new(protocol, src.address, dst.address);
    while let Some(word) = words.next()? {
        draft.word(word)?;
    }
    draft.finish(src, dst)
}

/// An address, with a port or without.
#[derive(Clone, Copy)]
struct Endpoint<'a> {
    word: &'a str,
    address: IpAddr,
    port: Option<u16>,
}

impl<'a> Endpoint<'a> {
    fn parse(words: &mut Words<'a>) -> Result<Self, SpecError> {
        const EXPECTED: &str =
            "an address, as in 10.77.1.11:22, [fd00::1]:22, 10.77.1.11 or fd00::1";
        let word = words.expect(EXPECTED)?;
        let bare = word
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(word);
        if let Ok(address) = bare.parse() {
            return Ok(Self {
                word,
                address,
                port: None,
            });
        }
        match word.parse() {
            Ok(SocketAddr::V6(address)) if address.scope_id() != 0 => Err(wrong(word, EXPECTED)),
            Ok(address) => Ok(Self {
                word,
                address: address.ip(),
                port: Some(address.port()),
            }),
            Err(_) => Err(wrong(word, EXPECTED)),
        }
    }

    fn port(self) -> Result<u16, SpecError> {
        let expected = "the address with a port, as in 10.77.1.11:22 or [fd00::1]:22";
        self.port.ok_or_else(|| wrong(self.word, expected))
    }

    fn no_port(self) -> Result<(), SpecError> {
        match self.port {
            Some(_) => Err(wrong(self.word, "the address without a port")),
            None => Ok(()),
        }
    }
}

/// An IP packet whose words are being read.
struct Draft {
    ip: IpSpec,
    tcp: Tcp,
    icmp: Icmp,
    sctp: Sctp,
    init_tag: Option<u32>,
    dccp_type: u8,
    flags_given: bool,
    type_given: bool,
    ttl: Option<u8>,
    len: Option<u16>,
}

impl Draft {
    fn new(protocol: u8, src: IpAddr, dst: IpAddr) -> Self {
        Self {
            ip: IpSpec {
                src,
                dst,
                protocol,
                ttl: DEFAULT_TTL,
                fragment: None,
                l4: L4::Opaque,
                len: 0,
                target: None,
                link_layer: None,
            },
            tcp: Tcp {
                src_port: 0,
                dst_port: 0,
                seq: 0,
                ack: 0,
                flags: 0,
                window: DEFAULT_WINDOW,
                payload_len: 0,
                window_scale: None,
                sack: None,
            },
            icmp: Icmp {
                kind: 0,
                code: 0,
                id: 0,
            },
            sctp: Sctp {
                src_port: 0,
                dst_port: 0,
                tag: 0,
                chunk: Some(sctp_chunk::INIT),
                reflected: false,
                init_tag: 0,
                bundled: false,
            },
            init_tag: None,
            dccp_type: dccp_type::REQUEST,
            flags_given: false,
            type_given: false,
            ttl: None,
            len: None,
        }
    }

    fn is_icmp(&self) -> bool {
        let own = if self.ip.is_v4() {
            protocol::ICMP
        } else {
            protocol::ICMPV6
        };
        self.ip.protocol == own
    }

    fn word(&mut self, word: &str) -> Result<(), SpecError> {
        const NUMBER: &str = "a number that fits its field";
        const TCP: &str = "syn, ack, fin, rst, psh, urg, ece, cwr, none, seq=, ack=, win=, wscale=, sack=, len=, \
             ttl= or frag=";
        const ICMP: &str = "a type as echo-request or type=8, code=, id=, len=, ttl=, frag= or, in \
             neighbour discovery, target= and lladdr=";
        const SCTP: &str = "a chunk as init or chunk=1, none, reflected, tag=, init-tag=, len=, ttl= \
             or frag=";
        const DCCP: &str = "a type as request or type=0, len=, ttl= or frag=";
        const OTHER: &str = "len=, ttl= or frag=";
        let (tcp, icmp) = (self.ip.protocol == protocol::TCP, self.is_icmp());
        let (sctp, dccp) = (
            self.ip.protocol == protocol::SCTP,
            self.ip.protocol == protocol::DCCP,
        );
        let Some((key, text)) = word.split_once('=') else {
            return match word {
                _ if tcp => self.flags(word, TCP),
                _ if icmp => self.named_type(word, ICMP),
                _ if sctp => self.named_chunk(word, SCTP),
                _ if dccp => {
                    let kind = names::number_of(&names::DCCP_TYPES, word);
                    self.dccp_type = kind.ok_or_else(|| wrong(word, DCCP))?;
                    Ok(())
                }
                _ => Err(wrong(word, OTHER)),
            };
        };
        match key {
            "len" => self.len = Some(payload_len(word, text)?),
            "ttl" => self.ttl = Some(after(word, text, "ttl= and a number up to 255")?),
            "frag" => self.ip.fragment = Some(fragment(word, text, self.ip.is_v4())?),
            "seq" if tcp => self.tcp.seq = after(word, text, NUMBER)?,
            "ack" if tcp => self.tcp.ack = after(word, text, NUMBER)?,
            "win" if tcp => self.tcp.window = after(word, text, NUMBER)?,
            "wscale" if tcp => self.tcp.window_scale = Some(after(word, text, NUMBER)?),
            "sack" if tcp => self.tcp.sack = Some(after(word, text, NUMBER)?),
            "type" if icmp => {
                self.type_given = true;
                self.icmp.kind = after(word, text, "type= and a number up to 255")?;
            }
            "code" if icmp => self.icmp.code = after(word, text, "code= and a number up to 255")?,
            "id" if icmp => self.icmp.id = after(word, text, "id= and a number up to 65535")?,
            "target" if icmp => self.ip.target = Some(after(word, text, "an IPv6 address")?),
            "lladdr" if icmp => self.ip.link_layer = Some(after(word, text, A_MAC)?),
            "chunk" if sctp => self.sctp.chunk = Some(after(word, text, NUMBER)?),
            "tag" if sctp => self.sctp.tag = after(word, text, NUMBER)?,
            "init-tag" if sctp => self.init_tag = Some(after(word, text, NUMBER)?),
            "type" if dccp => {
                self.dccp_type = after::<u8>(word, text, DCCP_TYPE)?;
                if self.dccp_type > DCCP_TYPE_MAX {
                    return Err(wrong(word, DCCP_TYPE));
                }
            }
            _ if tcp => return Err(wrong(word, TCP)),
            _ if icmp => return Err(wrong(word, ICMP)),
            _ if sctp => return Err(wrong(word, SCTP)),
            _ if dccp => return Err(wrong(word, DCCP)),
            _ => return Err(wrong(word, OTHER)),
        }
        Ok(())
    }

    fn flags(&mut self, word: &str, expected: &'static str) -> Result<(), SpecError> {
        for name in word.split(',') {
            self.tcp.flags |= match names::flag(name) {
                Some(bit) => bit,
                None if name == "none" => 0,
                None => return Err(wrong(name, expected)),
            };
        }
        self.flags_given = true;
        Ok(())
    }

    fn named_chunk(&mut self, word: &str, expected: &'static str) -> Result<(), SpecError> {
        match word {
            "none" => self.sctp.chunk = None,
            "reflected" => self.sctp.reflected = true,
            _ => {
                let kind = names::number_of(&names::SCTP_CHUNKS, word);
                self.sctp.chunk = Some(kind.ok_or_else(|| wrong(word, expected))?);
            }
        }
        Ok(())
    }

    fn named_type(&mut self, word: &str, expected: &'static str) -> Result<(), SpecError> {
        let kind = names::icmp_number(self.ip.protocol, word);
        self.icmp.kind = kind.ok_or_else(|| wrong(word, expected))?;
        self.type_given = true;
        Ok(())
    }

    /// Puts the parts together and checks that they belong together.
    fn finish(mut self, src: Endpoint<'_>, dst: Endpoint<'_>) -> Result<IpSpec, SpecError> {
        if self.ip.fragment.is_some() && self.len.is_some() {
            return Err(wrong(
                "len=",
                "frag=ID:OFFSET:LENGTH alone, which has the length",
            ));
        }
        if self.ip.fragment.is_none_or(|part| part.offset == 0) {
            self.ip.l4 = self.l4(src, dst)?;
        }
        if matches!(self.ip.l4, L4::Icmp(_) | L4::Opaque) {
            src.no_port()?;
            dst.no_port()?;
        }
        if !self.ip.is_neighbour() && (self.ip.target.is_some() || self.ip.link_layer.is_some()) {
            return Err(wrong(
                "target=, lladdr=",
                "them in neighbour discovery alone",
            ));
        }
        self.ip.ttl = self.ttl.unwrap_or(self.ip.default_ttl());
        if self.ip.fragment.is_none() {
            self.ip.len = self.len.unwrap_or(self.ip.default_len());
        }
        if let L4::Tcp(tcp) = &mut self.ip.l4 {
            tcp.payload_len = u32::from(self.ip.len);
        }
        Ok(self.ip)
    }

    /// What only some chunks have stands at those alone.
    fn checked_sctp(&self, src_port: u16, dst_port: u16) -> Result<Sctp, SpecError> {
        let chunk = self.sctp.chunk;
        let has_tag = matches!(chunk, Some(sctp_chunk::INIT | sctp_chunk::INIT_ACK));
        let is_end = matches!(
            chunk,
            Some(sctp_chunk::ABORT | sctp_chunk::SHUTDOWN_COMPLETE)
        );
        if self.init_tag.is_some() && !has_tag {
            return Err(wrong("init-tag=", "it in an init or init-ack alone"));
        }
        if self.sctp.reflected && !is_end {
            return Err(wrong(
                "reflected",
                "it in an abort or shutdown-complete alone",
            ));
        }
        let default = if has_tag { DEFAULT_INIT_TAG } else { 0 };
        Ok(Sctp {
            src_port,
            dst_port,
            init_tag: self.init_tag.unwrap_or(default),
            ..self.sctp
        })
    }

    fn l4(&self, src: Endpoint<'_>, dst: Endpoint<'_>) -> Result<L4, SpecError> {
        Ok(match self.ip.protocol {
            protocol::TCP => {
                let flags = if self.flags_given {
                    self.tcp.flags
                } else {
                    tcp_flags::SYN
                };
                L4::Tcp(Tcp {
                    src_port: src.port()?,
                    dst_port: dst.port()?,
                    flags,
                    ..self.tcp
                })
            }
            protocol::UDP => L4::Udp {
                src_port: src.port()?,
                dst_port: dst.port()?,
            },
            protocol::SCTP => {
                let (src_port, dst_port) = (src.port()?, dst.port()?);
                L4::Sctp(self.checked_sctp(src_port, dst_port)?)
            }
            protocol::DCCP => L4::Dccp(Dccp {
                src_port: src.port()?,
                dst_port: dst.port()?,
                kind: self.dccp_type,
            }),
            protocol::UDPLITE => L4::Ports {
                src_port: src.port()?,
                dst_port: dst.port()?,
            },
            _ if self.is_icmp() && !self.type_given => {
                return Err(wrong("", "the ICMP type, as echo-request or type=8"));
            }
            _ if self.is_icmp() => L4::Icmp(self.icmp),
            _ => L4::Opaque,
        })
    }
}

const DCCP_TYPE_MAX: u8 = 15;
const DCCP_TYPE: &str = "type= and a number up to 15";

fn fragment(word: &str, text: &str, v4: bool) -> Result<Fragment, SpecError> {
    const EXPECTED: &str = "frag=ID:OFFSET:LENGTH, with :+ where more follow; the offset is a \
         multiple of 8, an IPv4 ID at most 65535, the length at most 65400";
    let wrong = || wrong(word, EXPECTED);
    let (place, more) = match text.strip_suffix(":+") {
        Some(place) => (place, true),
        None => (text, false),
    };
    let mut parts = place.split(':');
    let mut part = || {
        parts
            .next()
            .and_then(|part| part.parse::<u32>().ok())
            .ok_or_else(wrong)
    };
    let (id, offset, len) = (part()?, part()?, part()?);
    let id_max = if v4 { u32::from(u16::MAX) } else { u32::MAX };
    let offset = u16::try_from(offset).map_err(|_| wrong())?;
    let len = u16::try_from(len).map_err(|_| wrong())?;
    let whole = offset == 0 && !more;
    if parts.next().is_some()
        || id > id_max
        || !offset.is_multiple_of(8)
        || len > PAYLOAD_MAX
        || whole
    {
        return Err(wrong());
    }
    Ok(Fragment {
        id,
        offset,
        len,
        more,
    })
}
