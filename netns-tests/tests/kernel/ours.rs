//! The switch, in memory, built from a configuration as the daemon builds it.

use crate::judged::{Entry, Judged};
use netns_tests::{Plan, PortPlan, rules};
use packet::{Basis, Reason, VNET_HDR_LEN, Verdict};
use secgroup::{
    PortId, RuleTable,
    conntrack::{State, Way},
};
use std::{collections::HashMap, path::Path};
use vswitch::{
    config::Config,
    run::{Clock, switch_config},
    switch::{ConnectionView, Frame, Observer, Prepared, Stage, Step, Switch},
};

/// Connections of the in-memory switch: more than a run opens.
const CONNECTIONS: u32 = 1 << 17;
const WINDOW_S: u32 = 900;
const SEED: u64 = 7;

/// An address behind guest b, from which it may send as a router does.
pub(crate) const ROUTER: &str = "10.77.1.99";
/// The same in IPv6.
pub(crate) const ROUTER6: &str = "2001:db8:77:1::99";

/// Two guests whose groups let everything through: what is refused is refused for its state.
pub(crate) struct Ours {
    switch: Switch,
    clock: Clock,
    ports: [PortId; 2],
    /// By port or identifier: whether the connection has been answered.
    answered: HashMap<u16, bool>,
}

/// The two guests and the configuration's `conntrack:`.
pub(crate) fn plan(conntrack: &str) -> Plan {
    let open = [rules::any_in(), rules::any_in_v6()];
    Plan::new()
        .group("open", &open)
        .guest("a", &["open"])
        .guest("b", &["open"])
        .change("b", |port| {
            port.keys = format!(
                "allowed_address_pairs: [{{ ip_address: {ROUTER} }}, {{ ip_address: \"{ROUTER6}\" }}]"
            );
        })
        .top(conntrack)
}

/// Guest a and guest b.
pub(crate) fn guests(plan: &Plan) -> [PortPlan; 2] {
    [plan.ports()[0].clone(), plan.ports()[1].clone()]
}

#[derive(Default)]
struct Notes {
    way: Option<Way>,
    opens: bool,
}

impl Observer for Notes {
    fn see<'a>(&mut self, stage: impl FnOnce() -> Stage<'a>) {
        match stage() {
            Stage::Connection { way, .. } => self.way = Some(way),
            Stage::Opens { .. } => self.opens = true,
            _ => {}
        }
    }
}

impl Ours {
    pub(crate) fn start(plan: &Plan) -> Self {
        let yaml = plan.yaml(Path::new("/nowhere"), "kernel-");
        let (plan, _) = Config::parse(&yaml, "kernel.yaml").unwrap();
        let prepared = Prepared::new(switch_config(&plan), &mut RuleTable::default()).unwrap();
        let clock = Clock::start();
        let mut switch = Switch::new(clock.now(), SEED, CONNECTIONS, WINDOW_S);
        switch.apply(clock.now(), prepared).unwrap();
        let number = |name: &str| {
            let mut ports = switch.ports();
            ports
                .find(|port| port.config.name == name)
                .unwrap()
                .number()
        };
        let ports = ["a", "b"].map(number);
        Self {
            switch,
            clock,
            ports,
            answered: HashMap::new(),
        }
    }

    /// What the switch says of a frame, and does with it.
    pub(crate) fn judge(&mut self, end: usize, frame: &[u8], number: u16) -> Judged {
        let now = self.clock.now();
        let rx = self.ports[end];
        let frame = Frame::parse(&[0; VNET_HDR_LEN], frame).unwrap();
        let mut notes = Notes::default();
        let steps = self.switch.trace(now, rx, &frame, &mut notes);
        self.switch
            .forward(now, rx, &frame, &mut vswitch::switch::Outbox::default());
        let [step] = steps[..] else {
            panic!("the other guest is one receiver: {steps:?}");
        };
        let judged = self.word_for(&step, &notes, number);
        if step.is_accept() && judged != Judged::Related {
            let answered = self.answered.entry(number).or_default();
            *answered = !notes.opens && (*answered || judged == Judged::Reply);
        }
        judged
    }

    /// Forgets whether the connection of this number has been answered: another takes the number.
    pub(crate) fn forget(&mut self, number: u16) {
        self.answered.remove(&number);
    }

    fn word_for(&self, step: &Step, notes: &Notes, number: u16) -> Judged {
        let sides = [step.egress, step.ingress].into_iter().flatten();
        let mut judged = None;
        for side in sides {
            match side.verdict {
                Verdict::Drop(Reason::CtInvalid) => return Judged::Invalid,
                Verdict::Drop(Reason::Malformed) => return Judged::Refused,
                Verdict::Drop(reason) => panic!("the groups are open, but: {reason:?}"),
                Verdict::Accept(Basis::Related) => judged = Some(Judged::Related),
                Verdict::Accept(_) => {}
            }
        }
        let answered = self.answered.get(&number) == Some(&true);
        judged.unwrap_or(match notes.way {
            Some(Way::Reply) if !notes.opens => Judged::Reply,
            Some(Way::Original) if !notes.opens && answered => Judged::Established,
            _ => Judged::New,
        })
    }

    /// The live connection with this number as a port or identifier.
    pub(crate) fn entry(&self, number: u16) -> Option<Entry> {
        let now = self.clock.now();
        let mut views = Vec::new();
        let mut from = 0;
        while self
            .switch
            .connections_in(from..from + 4096, now.ms, &mut views)
            .is_some()
        {
            from += 4096;
        }
        let is_it = |view: &&ConnectionView| {
            view.tuple.src_port == number
                || view.tuple.dst_port == number
                || view.icmp.is_some_and(|(_, id)| id == number)
        };
        let view = views.iter().find(is_it)?;
        Some(Entry {
            state: state_name(view.state).to_owned(),
            seconds: u64::from(view.expires_in_ms / 1000),
            replied: self.answered.get(&number) == Some(&true),
        })
    }
}

/// As `/proc/net/nf_conntrack` writes it.
fn state_name(state: State) -> &'static str {
    match state {
        State::SynSent => "SYN_SENT",
        State::SynSent2 => "SYN_SENT2",
        State::SynRecv => "SYN_RECV",
        State::Established => "ESTABLISHED",
        State::FinWait => "FIN_WAIT",
        State::CloseWait => "CLOSE_WAIT",
        State::LastAck => "LAST_ACK",
        State::TimeWait => "TIME_WAIT",
        State::Close => "CLOSE",
        State::Counted | State::New | State::Replied | State::Stream => "",
    }
}
