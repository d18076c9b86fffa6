//! The text of a trace: what happened to a packet stage by stage, and why.
//!
//! A recorder watches the very function that forwards ([`Switch::trace`]); nothing here decides
//! anything. It notes words while the switch's lock is held, and everything that needs the
//! configuration (rules, remedies) is told afterwards.

mod addresses;
mod reasons;
mod remedy;
mod tell;

pub use reasons::{Meaning, meaning};

use crate::config::Plan;
use crate::control::RuleBook;
use crate::switch::{Fate, Frame, Now, Observer, Port, Stage, Step, Switch};
use packet::{Headers, PacketSpec, VNET_HDR_LEN};
use secgroup::{RuleRef, RuleTable};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Receivers of one flood that a trace tells of.
const RECEIVERS_MAX: usize = 64;

/// What would happen to a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The packet with its MAC addresses.
    pub packet: String,
    /// The port whose guest sends it.
    pub port: String,
    /// What happened, in order.
    pub stages: Vec<Told>,
    /// What each port decided: the sender first, then each receiver.
    pub sides: Vec<SideTold>,
    /// Receivers of a flood beyond those told.
    pub more_receivers: usize,
    /// Whether anybody gets it.
    pub accepted: bool,
    /// The whole in one line.
    pub verdict: String,
}

/// A stage in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Which stage.
    pub stage: String,
    /// What happened there.
    pub text: String,
}

/// One port's decision in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideTold {
    /// `egress` or `ingress`, seen from the instance.
    pub direction: String,
    /// The port.
    pub port: String,
    /// `ACCEPT(rule)`, `DROP(default_deny)`.
    pub verdict: String,
    /// Where on its way it was decided: `admission`, `fragments`, `connection`, `table`, `rules`,
    /// `essentials`, `unfiltered`.
    pub stage: String,
    /// The id of the rule that allows it, or that allows what it answers.
    pub rule_id: Option<Uuid>,
    /// The id of that rule's group.
    pub security_group_id: Option<Uuid>,
    /// The rule, or what the reason means.
    pub why: String,
    /// What would have to be otherwise; only of refusals.
    pub remedy: Option<String>,
}

/// Why a packet cannot be traced.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// No such port.
    #[error("there is no port `{port}`; the ports are {known}")]
    NoPort {
        /// What was asked for.
        port: String,
        /// Names there are.
        known: String,
    },
    /// The text is no packet.
    #[error("`{text}` is no packet: {why}")]
    NoPacket {
        /// What was written.
        text: String,
        /// What is wrong.
        why: String,
    },
    /// The port is not attached yet, or not any more.
    #[error("port `{0}` is not attached to the switch; try again")]
    NotAttached(String),
}

/// A packet that is to be traced, as a frame.
#[derive(Debug, Clone)]
pub struct Question {
    port: usize,
    frame: Vec<u8>,
    headers: Headers,
    /// That no port has the destination address, if none has.
    unowned: Option<String>,
}

impl Question {
    /// Reads a packet's text form and makes the frame that the guest of `port` would send.
    ///
    /// # Errors
    /// [`TraceError`] for a port that is none and a text that is no packet.
    pub fn new(plan: &Plan, port: &str, packet: &str) -> Result<Self, TraceError> {
        let index = find_port(plan, port)?;
        let no_packet = |why: String| TraceError::NoPacket {
            text: packet.to_owned(),
            why,
        };
        let spec: PacketSpec = packet
            .parse()
            .map_err(|error| no_packet(format!("{error}")))?;
        let frame = spec.build(
            plan.ports[index].mac,
            addresses::destination_mac(plan, index, &spec),
        );
        let headers = parse(&frame)
            .map_err(|error| no_packet(error.to_string()))?
            .headers;
        Ok(Self {
            port: index,
            frame,
            headers,
            unowned: addresses::unowned(plan, index, &spec),
        })
    }

    /// Asks the switch. Short: what needs words from the configuration is left to
    /// [`Answer::told`], which needs no lock.
    ///
    /// # Errors
    /// [`TraceError::NotAttached`].
    pub fn ask(&self, plan: &Plan, switch: &Switch, now: Now) -> Result<Answer, TraceError> {
        let port = &plan.ports[self.port];
        let rx = switch
            .ports()
            .find(|known| known.config.id == port.id)
            .map(Port::number);
        let rx = rx.ok_or_else(|| TraceError::NotAttached(port.name.clone()))?;
        let frame = parse(&self.frame).map_err(|_| TraceError::NotAttached(port.name.clone()))?;
        let mut recorder = Recorder {
            switch,
            told: Vec::new(),
            copies: 0,
            receiver: None,
        };
        let steps = switch.trace(now, rx, &frame, &mut recorder);
        let Recorder {
            mut told, receiver, ..
        } = recorder;
        let looked_up = told.iter().position(|told| told.stage == "destination");
        if let (Some(at), Some(text)) = (looked_up, &self.unowned) {
            let stage = "address".to_owned();
            let text = text.clone();
            told.insert(at, Told { stage, text });
        }
        let more_receivers = steps.len().saturating_sub(1 + RECEIVERS_MAX);
        let steps = steps.into_iter().take(1 + RECEIVERS_MAX);
        let steps = steps
            .map(|step| (step, to(switch, &step).or_else(|| receiver.clone())))
            .collect();
        Ok(Answer {
            told,
            steps,
            more_receivers,
        })
    }

    /// The packet as it is written, with its MAC addresses.
    fn text(&self) -> String {
        format!("{:#}", self.headers)
    }
}

fn find_port(plan: &Plan, port: &str) -> Result<usize, TraceError> {
    let found = plan
        .ports
        .iter()
        .position(|known| known.name == port || known.id.to_string() == port);
    found.ok_or_else(|| {
        let known: Vec<&str> = plan
            .ports
            .iter()
            .take(RECEIVERS_MAX)
            .map(|port| port.name.as_str())
            .collect();
        TraceError::NoPort {
            port: port.to_owned(),
            known: known.join(", "),
        }
    })
}

fn parse(frame: &[u8]) -> Result<Frame<'_>, packet::Runt> {
    /// No offload: the packet stands for itself.
    const VNET: [u8; VNET_HDR_LEN] = [0; VNET_HDR_LEN];
    Frame::parse(&VNET, frame)
}

/// The port that a step leads to.
fn to(switch: &Switch, step: &Step) -> Option<String> {
    let Fate::To(port) = step.fate else {
        return None;
    };
    switch.port(port).map(|port| port.config.name.clone())
}

/// What the switch said.
#[derive(Debug, Clone)]
pub struct Answer {
    told: Vec<Told>,
    /// A step per receiver, and the receiver's name.
    steps: Vec<(Step, Option<String>)>,
    more_receivers: usize,
}

impl Answer {
    /// The rules that have to be known to tell the answer.
    pub fn rules(&self) -> impl Iterator<Item = RuleRef> + '_ {
        let sides = self
            .steps
            .iter()
            .flat_map(|(step, _)| [step.egress, step.ingress]);
        sides.flatten().map(|judged| judged.rule)
    }

    /// The answer in words.
    #[must_use]
    pub fn told(self, question: &Question, plan: &Plan, rules: &RuleBook) -> Trace {
        let sender = plan.ports[question.port].name.clone();
        let tell = |direction, port: &str, judged| {
            remedy::side(plan, rules, &question.headers, direction, port, judged)
        };
        let mut sides = Vec::new();
        for (step, receiver) in &self.steps {
            if let Some(judged) = step.egress {
                sides.push(tell(packet::Direction::Egress, &sender, judged));
            }
            if let (Some(judged), Some(receiver)) = (step.ingress, receiver) {
                sides.push(tell(packet::Direction::Ingress, receiver, judged));
            }
        }
        let (accepted, verdict) = tell::verdict(&self.steps, &sender);
        let more_receivers = self.more_receivers;
        Trace {
            packet: question.text(),
            port: sender,
            stages: self.told,
            sides,
            more_receivers,
            accepted,
            verdict,
        }
    }
}

/// Traces a packet through a switch at hand; `rules` names its rules.
///
/// # Errors
/// [`TraceError`].
pub fn trace(
    plan: &Plan,
    switch: &Switch,
    rules: &RuleTable,
    now: Now,
    port: &str,
    packet: &str,
) -> Result<Trace, TraceError> {
    let question = Question::new(plan, port, packet)?;
    let answer = question.ask(plan, switch, now)?;
    let book = RuleBook::of(plan, rules, answer.rules());
    Ok(answer.told(&question, plan, &book))
}

/// Notes what happens. The copies of a flood repeat the sender's stages, so only those of the first
/// decision are told.
struct Recorder<'s> {
    switch: &'s Switch,
    told: Vec<Told>,
    copies: usize,
    receiver: Option<String>,
}

impl Observer for Recorder<'_> {
    fn see<'a>(&mut self, stage: impl FnOnce() -> Stage<'a>) {
        if self.copies > 0 {
            return;
        }
        let stage = stage();
        if let Stage::Decided { receiver, .. } = &stage {
            self.copies += 1;
            self.receiver = receiver.map(|port| port.config.name.clone());
        }
        if let Some((stage, text)) = tell::stage(self.switch, &stage) {
            self.told.push(Told {
                stage: stage.to_owned(),
                text,
            });
        }
    }
}
