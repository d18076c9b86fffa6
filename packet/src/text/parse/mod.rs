//! Text → packet.

mod ip;

use super::{PAYLOAD_MAX, PacketSpec, SpecBody};
use crate::Mac;
use std::net::Ipv4Addr;
use std::str::{FromStr, SplitWhitespace};

/// What is wrong with the text of a packet: the word, and what would be right there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: write {expected}", place(.word))]
pub struct SpecError {
    /// The word that is wrong; empty where one is missing at the end.
    pub word: String,
    /// What would be right.
    pub expected: &'static str,
}

fn place(word: &str) -> String {
    match word {
        "" => "the packet ends too early".to_owned(),
        word => format!("`{word}` is wrong here"),
    }
}

fn wrong(word: &str, expected: &'static str) -> SpecError {
    SpecError {
        word: word.to_owned(),
        expected,
    }
}

const A_MAC: &str = "a MAC address, as in fa:16:3e:00:00:01";
const AN_IPV4: &str = "an IPv4 address";
const A_KIND: &str = "tcp, udp, icmp, icmpv6, sctp, another protocol's name, proto=NUMBER, arp, rarp \
     or eth";

impl FromStr for PacketSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut words = Words {
            inner: text.split_whitespace(),
            link: Link::default(),
        };
        let kind = words.expect(A_KIND)?;
        let body = match kind {
            "arp" | "rarp" => arp(kind == "rarp", &mut words)?,
            "eth" => other(&mut words)?,
            _ => SpecBody::Ip(ip::parse(kind, &mut words)?),
        };
        if let Some(word) = words.next()? {
            return Err(wrong(word, "nothing, or from MAC, to MAC, vlan=VID"));
        }
        let Link {
            src_mac,
            dst_mac,
            vlan,
        } = words.link;
        Ok(Self {
            src_mac,
            dst_mac,
            vlan,
            body,
        })
    }
}

/// The link layer's words, which may stand anywhere.
#[derive(Default)]
struct Link {
    src_mac: Option<Mac>,
    dst_mac: Option<Mac>,
    vlan: Option<u16>,
}

/// The words of the text; those of the link layer are taken out on the way.
struct Words<'a> {
    inner: SplitWhitespace<'a>,
    link: Link,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Result<Option<&'a str>, SpecError> {
        while let Some(word) = self.inner.next() {
            match word {
                "from" => self.link.src_mac = Some(value(self.inner.next().unwrap_or(""), A_MAC)?),
                "to" => self.link.dst_mac = Some(value(self.inner.next().unwrap_or(""), A_MAC)?),
                _ => match word.strip_prefix("vlan=") {
                    Some(vid) => self.link.vlan = Some(vlan(word, vid)?),
                    None => return Ok(Some(word)),
                },
            }
        }
        Ok(None)
    }

    fn expect(&mut self, expected: &'static str) -> Result<&'a str, SpecError> {
        self.next()?.ok_or_else(|| wrong("", expected))
    }

    fn literal(&mut self, literal: &'static str) -> Result<(), SpecError> {
        match self.expect(literal)? {
            word if word == literal => Ok(()),
            word => Err(wrong(word, literal)),
        }
    }

    fn value<T: FromStr>(&mut self, expected: &'static str) -> Result<T, SpecError> {
        value(self.expect(expected)?, expected)
    }
}

fn value<T: FromStr>(word: &str, expected: &'static str) -> Result<T, SpecError> {
    word.parse().map_err(|_| wrong(word, expected))
}

/// The value of `key=value`.
fn after<T: FromStr>(word: &str, text: &str, expected: &'static str) -> Result<T, SpecError> {
    text.parse().map_err(|_| wrong(word, expected))
}

fn vlan(word: &str, vid: &str) -> Result<u16, SpecError> {
    const EXPECTED: &str = "vlan= and a number up to 4095 (0 is a priority tag)";
    match after(word, vid, EXPECTED)? {
        vid @ 0..=4095 => Ok(vid),
        _ => Err(wrong(word, EXPECTED)),
    }
}

fn payload_len(word: &str, text: &str) -> Result<u16, SpecError> {
    const EXPECTED: &str = "len= and a number of bytes up to 65400";
    match after(word, text, EXPECTED)? {
        len @ 0..=PAYLOAD_MAX => Ok(len),
        _ => Err(wrong(word, EXPECTED)),
    }
}

fn arp(reverse: bool, words: &mut Words<'_>) -> Result<SpecBody, SpecError> {
    const KINDS: &str = "who-has, reply or op=NUMBER (rarp: op=NUMBER)";
    let kind = words.expect(KINDS)?;
    let (mut sender_mac, operation, sender_ip, mut target_ip): (_, u16, Ipv4Addr, Ipv4Addr);
    match (kind, kind.strip_prefix("op=")) {
        ("who-has", _) if !reverse => {
            target_ip = words.value(AN_IPV4)?;
            words.literal("tell")?;
            (operation, sender_mac, sender_ip) = (1, None, words.value(AN_IPV4)?);
        }
        ("reply", _) if !reverse => {
            (operation, sender_ip) = (2, words.value(AN_IPV4)?);
            words.literal("is-at")?;
            (sender_mac, target_ip) = (Some(words.value(A_MAC)?), sender_ip);
        }
        (_, Some(number)) => {
            (operation, sender_mac) = (after(kind, number, "op= and a number up to 65535")?, None);
            sender_ip = words.value(AN_IPV4)?;
            words.literal(">")?;
            target_ip = words.value(AN_IPV4)?;
        }
        _ => return Err(wrong(kind, KINDS)),
    }
    while let Some(word) = words.next()? {
        match (word, word.strip_prefix("sender-mac=")) {
            ("tell", _) if kind == "reply" => target_ip = words.value(AN_IPV4)?,
            (_, Some(mac)) => sender_mac = Some(after(word, mac, A_MAC)?),
            _ => {
                return Err(wrong(
                    word,
                    "sender-mac=MAC or, after a reply, tell ADDRESS",
                ));
            }
        }
    }
    Ok(SpecBody::Arp {
        reverse,
        operation,
        sender_mac,
        sender_ip,
        target_ip,
    })
}

fn other(words: &mut Words<'_>) -> Result<SpecBody, SpecError> {
    const EXPECTED: &str = "an ethertype, as in 0x88cc";
    let word = words.expect(EXPECTED)?;
    let digits = word
        .strip_prefix("0x")
        .ok_or_else(|| wrong(word, EXPECTED))?;
    let ethertype = u16::from_str_radix(digits, 16).map_err(|_| wrong(word, EXPECTED))?;
    let mut len = 0;
    while let Some(word) = words.next()? {
        let text = word
            .strip_prefix("len=")
            .ok_or_else(|| wrong(word, "len=BYTES"))?;
        len = payload_len(word, text)?;
    }
    Ok(SpecBody::Other { ethertype, len })
}
