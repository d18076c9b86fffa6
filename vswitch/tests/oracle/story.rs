//! A story: what happens, one line after the other, as text that can be kept and told again.

use crate::packets::Packet;
use std::fmt;
use std::str::FromStr;

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// A port sends.
    Send { from: String, packet: Box<Packet> },
    /// Time passes; the sweep goes its rounds, or it does not and what is over must be found so.
    Wait { ms: u64, sweep: bool },
    /// The wall clock alone steps.
    Clock { seconds: i64 },
    /// The configuration changes.
    Change(String),
    /// A guest's TAP comes or goes.
    Link { port: String, up: bool },
    /// Connections, counters and the conservation identity are looked at.
    Look,
}

/// A story and what made it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Story {
    /// Seed of the generator; of the switch's hashes too.
    pub(crate) seed: u64,
    pub(crate) events: Vec<Event>,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { from, packet } => write!(f, "send {from}: {packet}"),
            Self::Wait { ms, sweep: true } => write!(f, "sweep after {ms}"),
            Self::Wait { ms, sweep: false } => write!(f, "wait {ms}"),
            Self::Clock { seconds } => write!(f, "clock {seconds}"),
            Self::Change(line) => write!(f, "change {line}"),
            Self::Link { port, up: true } => write!(f, "up {port}"),
            Self::Link { port, up: false } => write!(f, "down {port}"),
            Self::Look => write!(f, "look"),
        }
    }
}

impl FromStr for Event {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let wrong = || format!("`{line}` is no line of a story");
        let ms = |text: &str| {
            text.trim_start_matches("after ")
                .parse()
                .map_err(|_| wrong())
        };
        Ok(match verb {
            "send" => {
                let (from, packet) = rest.split_once(": ").ok_or_else(wrong)?;
                Self::Send {
                    from: from.to_owned(),
                    packet: Box::new(packet.parse()?),
                }
            }
            "wait" | "sweep" => Self::Wait {
                ms: ms(rest)?,
                sweep: verb == "sweep",
            },
            "clock" => Self::Clock {
                seconds: rest.parse().map_err(|_| wrong())?,
            },
            "change" => Self::Change(rest.to_owned()),
            "up" | "down" => Self::Link {
                port: rest.to_owned(),
                up: verb == "up",
            },
            "look" => Self::Look,
            _ => return Err(wrong()),
        })
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        self.events
            .iter()
            .try_for_each(|event| writeln!(f, "{event}"))
    }
}

impl FromStr for Story {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let seed = lines.next().and_then(|line| line.strip_prefix("seed "));
        let seed = seed
            .and_then(|seed| seed.parse().ok())
            .ok_or("a story begins with `seed NUMBER`")?;
        Ok(Self {
            seed,
            events: lines.map(str::parse).collect::<Result<_, _>>()?,
        })
    }
}
