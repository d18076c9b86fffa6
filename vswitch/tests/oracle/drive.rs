//! Tells a story to the switch and to the interpreter, and says where they part.

use crate::judge::{Act, Goes, Interpreter};
use crate::ledger::{Count, Key, rule_key};
use crate::model::Said;
use crate::packets::Packet;
use crate::seen::Seen;
use crate::story::{Event, Story};
use crate::world;
use crate::{coverage::Coverage, dice::Dice};
use packet::Direction;
use secgroup::{PortId, RuleTable};
use std::collections::BTreeMap;
use std::net::IpAddr;
use vswitch::switch::{
    Chunk, Compiled, ConnectionView, Fate, Frame, Judged, Now, Outbox, Prepared, Share, Silent,
    Step, Switch, tallied, tuple_of,
};

/// Connections that a story's switch may have: more than a story has packets.
const CONNECTIONS_MAX: u32 = 1024;
/// 2026-01-01T00:00:00Z.
const NEW_YEAR_S: u64 = 1_767_225_600;

/// A story being told.
struct Stage {
    switch: Switch,
    interpreter: Interpreter,
    rules: RuleTable,
    compiled: Compiled,
    /// By the monotonic clock, which the switch sees wrap, and by the wall clock.
    now_ms: u64,
    wall_us: u64,
    logged: BTreeMap<Key, Count>,
    packets: u64,
}

/// What a story that was told to its end brought about.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) packets: u64,
    pub(crate) coverage: Coverage,
}

/// Tells a story. The error says what came out otherwise than it has to, and after which line.
pub(crate) fn tell(story: &Story) -> Result<Told, String> {
    let mut stage = Stage::new(story.seed)?;
    for (line, event) in story.events.iter().enumerate() {
        stage
            .happens(event)
            .map_err(|why| format!("line {}, `{event}`: {why}", line + 2))?;
    }
    stage
        .look()
        .and_then(|()| stage.close())
        .map_err(|why| format!("at the end: {why}"))?;
    Ok(Told {
        packets: stage.packets,
        coverage: stage.interpreter.coverage,
    })
}

impl Stage {
    fn new(seed: u64) -> Result<Self, String> {
        let mut dice = Dice(seed);
        // Some stories see the clock of timeouts wrap.
        let now_ms = if dice.once_in(4) {
            u64::from(u32::MAX) - 40_000
        } else {
            5_000
        };
        let config = world::curtain();
        let now = Now {
            ms: now_ms as u32,
            wall_us: NEW_YEAR_S * 1_000_000,
        };
        let mut stage = Self {
            switch: Switch::new(now, dice.roll(), CONNECTIONS_MAX, config.window_length_s),
            interpreter: Interpreter::new(config.clone(), now_ms),
            rules: RuleTable::default(),
            compiled: Compiled::default(),
            now_ms,
            wall_us: now.wall_us,
            logged: BTreeMap::new(),
            packets: 0,
        };
        stage.interpreter.ledger.window_s = NEW_YEAR_S;
        stage.apply()?;
        Ok(stage)
    }

    fn now(&self) -> Now {
        Now {
            ms: self.now_ms as u32,
            wall_us: self.wall_us,
        }
    }

    fn happens(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Send { from, packet } => self.send(from, packet),
            Event::Wait { ms, sweep } => {
                self.now_ms += ms;
                self.wall_us += ms * 1000;
                self.interpreter.now_ms = self.now_ms;
                if *sweep {
                    self.enter();
                    self.interpreter.sweep();
                    while self.switch.sweep(self.now()) {}
                }
                self.fetch()
            }
            Event::Clock { seconds } => {
                self.wall_us = self.wall_us.saturating_add_signed(seconds * 1_000_000);
                Ok(())
            }
            Event::Change(line) => {
                let mut config = self.interpreter.config.clone();
                world::change(&mut config, line)?;
                let window_s = self.interpreter.config.window_length_s;
                let is_flushed = config.window_length_s != window_s;
                self.interpreter.reload(config);
                if is_flushed {
                    let wall_s = self.wall_us / 1_000_000;
                    let length_s = u64::from(self.interpreter.config.window_length_s);
                    self.interpreter.ledger.window_s = wall_s - wall_s % length_s;
                    self.interpreter.round();
                }
                self.apply()
            }
            Event::Link { port, up } => {
                if let Some(port) = self.number(port) {
                    self.switch.set_up(port, *up);
                    self.interpreter.down.retain(|down| *down != port);
                    if !up {
                        self.interpreter.down.push(port);
                    }
                }
                Ok(())
            }
            Event::Look => self.look(),
        }
    }

    fn number(&self, name: &str) -> Option<PortId> {
        let mut ports = self.interpreter.ports.iter();
        ports
            .find(|(_, port)| port.name == name)
            .map(|(number, _)| *number)
    }

    fn apply(&mut self) -> Result<(), String> {
        let config = self.interpreter.config.clone();
        let prepared = Prepared::after(&self.compiled, config, &mut self.rules);
        let (prepared, compiled) = prepared.map_err(|error| error.to_string())?;
        self.compiled = compiled;
        let now = self.now();
        self.switch
            .apply(now, prepared)
            .map_err(|error| error.to_string())?;
        // A window of another length began: both tables hold the same when the old one is swept.
        while self.switch.is_closing() {
            self.switch.sweep(now);
        }
        let numbers = self
            .switch
            .ports()
            .map(|port| (port.number(), port.config.id));
        let expected = self
            .interpreter
            .ports
            .iter()
            .map(|(number, port)| (*number, port.id));
        agree(
            "ports",
            &numbers.collect::<Vec<_>>(),
            &expected.collect::<Vec<_>>(),
        )
    }

    /// A batch begins. A window that is over is swept at once, so that both tables hold the same.
    fn enter(&mut self) {
        let now = self.now();
        self.switch.enter(now);
        if self.interpreter.enter(self.wall_us / 1_000_000) {
            while self.switch.sweep(now) {}
        }
    }

    fn send(&mut self, from: &str, packet: &Packet) -> Result<(), String> {
        let Some(from) = self.number(from) else {
            return Ok(());
        };
        self.packets += 1;
        self.enter();
        let bytes = packet.frame();
        let frame = Frame::parse(&bytes.vnet, &bytes.bytes).map_err(|error| error.to_string())?;
        let now = self.now();
        let steps = self.switch.trace(now, from, &frame, &mut Silent);
        let mut outbox = Outbox::default();
        self.switch.forward(now, from, &frame, &mut outbox);
        for &to in &outbox.receivers {
            self.switch
                .settle(to, u64::from(frame.headers.wire.packets), 0);
        }
        let seen = Seen::of(packet, bytes.bytes.len());
        let (acts, got) = self.interpreter.send(from, &seen);
        let traced: Vec<_> = steps.iter().map(|step| self.as_act(step, &acts)).collect();
        agree("verdicts", &traced, &acts)?;
        agree("deliveries", &outbox.receivers, &got)
    }

    /// What the switch said, in the interpreter's words.
    fn as_act(&self, step: &Step, acts: &[Act]) -> Act {
        let said = |judged: Judged| Said {
            verdict: judged.verdict,
            rule: self.rules.lookup(judged.rule),
        };
        Act {
            goes: match step.fate {
                Fate::To(to) => Goes::To(to),
                Fate::Flood => Goes::Everywhere,
                Fate::Nowhere | Fate::Held => Goes::Nowhere,
            },
            egress: step.egress.map(said),
            ingress: step.ingress.map(said),
            // What is opened shows in the connections and in the log.
            opens: acts
                .iter()
                .any(|act| act.opens && act.goes == Goes::To(receiver(step))),
        }
    }

    fn look(&mut self) -> Result<(), String> {
        self.switch.audit_begin();
        let audit = self.switch.audit_finish();
        if !audit.holds() {
            return Err(format!("the audit does not balance: {audit:#?}"));
        }
        self.look_at_counters()?;
        self.look_at_connections()?;
        // As where loggers change: what was counted so far goes to the log, and nothing is lost by it.
        let mut from = 0;
        while let Some(next) = self.switch.hand_over(from) {
            from = next;
        }
        Ok(())
    }

    fn look_at_counters(&self) -> Result<(), String> {
        for port in self.switch.ports() {
            let mut expected = self
                .interpreter
                .ledger
                .counters
                .get(&port.number())
                .copied()
                .unwrap_or_default();
            (expected.logged, expected.skipped) = (port.counters.logged, port.counters.skipped);
            agree(
                &format!("counters of {}", port.config.name),
                &port.counters,
                &expected,
            )?;
            agree(
                &format!("what {} skipped", port.config.name),
                &port.counters.skipped,
                &Default::default(),
            )?;
        }
        Ok(())
    }

    /// Every connection, its state and when it ends.
    fn look_at_connections(&self) -> Result<(), String> {
        let mut views: Vec<ConnectionView> = Vec::new();
        let mut from = 0;
        while self
            .switch
            .connections_in(from..from + CONNECTIONS_MAX, self.now_ms as u32, &mut views)
            .is_some()
        {
            from += CONNECTIONS_MAX;
        }
        let mut shown: Vec<_> = views
            .iter()
            .map(|view| {
                let expires = (format!("{:?}", view.state), u64::from(view.expires_in_ms));
                (view.tuple, view.icmp, view.ports, expires)
            })
            .collect();
        let live = self
            .interpreter
            .connections
            .iter()
            .filter(|(_, connection)| connection.ends_ms > self.now_ms);
        let mut expected: Vec<_> = live
            .map(|(of, connection)| {
                let tuple = packet::FiveTuple {
                    protocol: of.protocol,
                    src: of.from.address,
                    dst: of.to.address,
                    src_port: of.from.l4,
                    dst_port: of.to.l4,
                };
                let expires = (
                    connection.progress.name().to_owned(),
                    connection.ends_ms - self.now_ms,
                );
                (tuple, of.query, [of.from.port, of.to.port], expires)
            })
            .collect();
        shown.sort_unstable();
        expected.sort_unstable();
        agree("connections", &shown, &expected)
    }

    /// The last window closes: the log must hold what it has to.
    fn close(&mut self) -> Result<(), String> {
        let now = self.now();
        self.enter();
        self.switch.flush(now);
        self.fetch()?;
        let expected = &self.interpreter.ledger.records;
        for (key, count) in expected {
            agree(
                &format!("record {key:?}"),
                &self.logged.get(key).copied().unwrap_or_default(),
                count,
            )?;
        }
        match self.logged.keys().find(|key| !expected.contains_key(key)) {
            Some(key) => Err(format!("a record too many: {key:?}")),
            None => Ok(()),
        }
    }

    fn fetch(&mut self) -> Result<(), String> {
        for chunk in self.switch.fetch_log() {
            self.take(&chunk, &chunk.v4);
            self.take(&chunk, &chunk.v6);
        }
        Ok(())
    }

    fn take<A: Copy + Into<IpAddr>>(&mut self, chunk: &Chunk, share: &Share<A>) {
        for left in &share.left {
            for record in tallied(&left.conn).into_iter().flatten() {
                let tally = left.with[record.way as usize];
                if tally.is_empty() {
                    continue;
                }
                let is_tcp = left.conn.protocol == packet::protocol::TCP;
                let key = Key {
                    window_s: chunk.window.start_s,
                    port: record.port,
                    ingress: record.direction == Direction::Ingress,
                    tuple: tuple_of(&left.conn, record.way),
                    verdict: record.judged.verdict,
                    rule: rule_key(self.rules.lookup(record.judged.rule)),
                };
                let count = self.logged.entry(key).or_default();
                count.packets += u64::from(tally.packets);
                count.bytes += u64::from(tally.bytes);
                count.flags |= if is_tcp { tally.flags_seed() } else { 0 };
                count.opened += u64::from(tally.opened());
            }
        }
    }
}

fn receiver(step: &Step) -> PortId {
    match step.fate {
        Fate::To(to) => to,
        Fate::Flood | Fate::Nowhere | Fate::Held => PortId(PortId::PSEUDO),
    }
}

fn agree<T: PartialEq + std::fmt::Debug>(
    what: &str,
    switch: &T,
    interpreter: &T,
) -> Result<(), String> {
    if switch == interpreter {
        return Ok(());
    }
    Err(format!(
        "{what}\n  switch:      {switch:?}\n  interpreter: {interpreter:?}"
    ))
}
