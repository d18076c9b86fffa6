//! What has occurred: so that the comparison cannot become empty without anybody noticing.

use crate::conntrack::Progress;
use packet::{Basis, Reason, Verdict};
use std::collections::BTreeMap;
use std::fmt;

/// Counts of verdicts and of what connections went through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Coverage {
    /// Sides judged, by reason or basis.
    verdicts: BTreeMap<&'static str, u64>,
    /// From one state to another; from none where a connection opens.
    steps: BTreeMap<(&'static str, &'static str), u64>,
}

/// Reasons that stories do not reach: fragments are not told yet.
const NOT_TOLD: &[Reason] = &[
    Reason::FragTiny,
    Reason::FragOverlap,
    Reason::FragOrder,
    Reason::FragTimeout,
    Reason::FragLimit,
];

/// Every way from one TCP stage to another that Linux's table knows, and what opens and what streams.
const STEPS: &[(&str, &str)] = &[
    ("", "New"),
    ("", "SynSent"),
    ("", "Established"),
    ("New", "New"),
    ("New", "Replied"),
    ("New", "Stream"),
    ("Replied", "Replied"),
    ("Replied", "Stream"),
    ("Stream", "Stream"),
    ("SynSent", "SynSent"),
    ("SynSent", "SynSent2"),
    ("SynSent", "SynRecv"),
    ("SynSent", "Close"),
    ("SynSent2", "SynSent2"),
    ("SynSent2", "SynRecv"),
    ("SynSent2", "Close"),
    ("SynRecv", "SynRecv"),
    ("SynRecv", "Established"),
    ("SynRecv", "FinWait"),
    ("SynRecv", "Close"),
    ("Established", "Established"),
    ("Established", "SynRecv"),
    ("Established", "FinWait"),
    ("Established", "Close"),
    ("FinWait", "FinWait"),
    ("FinWait", "CloseWait"),
    ("FinWait", "LastAck"),
    ("FinWait", "Close"),
    ("CloseWait", "CloseWait"),
    ("CloseWait", "LastAck"),
    ("CloseWait", "Close"),
    ("LastAck", "LastAck"),
    ("LastAck", "TimeWait"),
    ("LastAck", "Close"),
    ("TimeWait", "TimeWait"),
    ("TimeWait", "Close"),
    ("Close", "Close"),
];

impl Coverage {
    pub(crate) fn said(&mut self, verdict: Verdict) {
        *self.verdicts.entry(verdict.why()).or_default() += 1;
    }

    pub(crate) fn opened(&mut self, progress: &Progress) {
        *self.steps.entry(("", progress.name())).or_default() += 1;
    }

    pub(crate) fn went(&mut self, before: &Progress, after: &Progress) {
        *self.steps.entry((before.name(), after.name())).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (why, count) in &other.verdicts {
            *self.verdicts.entry(why).or_default() += count;
        }
        for (step, count) in &other.steps {
            *self.steps.entry(*step).or_default() += count;
        }
    }

    /// What ought to have occurred and has not.
    pub(crate) fn missing(&self) -> Vec<String> {
        let reasons = Reason::ALL
            .iter()
            .filter(|reason| !NOT_TOLD.contains(reason));
        let names = Basis::ALL.iter().map(|basis| basis.as_str());
        let names = names.chain(reasons.map(|reason| reason.as_str()));
        let verdicts = names
            .filter(|name| !self.verdicts.contains_key(name))
            .map(str::to_owned);
        let steps = STEPS.iter().filter(|step| !self.steps.contains_key(*step));
        verdicts
            .chain(steps.map(|(from, to)| format!("{from} > {to}")))
            .collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (why, count) in &self.verdicts {
            writeln!(f, "{count:>9} {why}")?;
        }
        self.steps
            .iter()
            .try_for_each(|((from, to), count)| writeln!(f, "{count:>9} {from} > {to}"))
    }
}
