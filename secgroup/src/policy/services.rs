//! What a rule says of the upper layer: from a flow's service to sets of rules.

use super::intervals::Intervals;
use super::rows::{RowDraft, RowId, RowsBuilder};
use crate::{Flow, FlowService, ModelError, Rule, Service};
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
pub(super) struct Services {
    /// Rules of every protocol.
    any: RowId,
    /// Protocol → 1 + place in `protocols`; 0 where no rule names it.
    index: Box<[u8; 256]>,
    protocols: Box<[ProtocolRows]>,
}

#[derive(Debug, Clone)]
struct ProtocolRows {
    /// Rules of this protocol that name no service.
    whole: RowId,
    /// Ports, or 256 × ICMP type + code.
    intervals: Intervals<u16>,
}

impl Services {
    pub(super) fn compile<'a>(
        rules: impl Iterator<Item = (u32, &'a Rule)>,
        rows: &mut RowsBuilder,
    ) -> Result<Self, ModelError> {
        let mut any = RowDraft::default();
        let mut by_protocol = BTreeMap::<u8, (RowDraft, Vec<(u16, u16, u32)>)>::new();
        for (number, rule) in rules {
            let Some(protocol) = rule.protocol else {
                any.insert(number);
                continue;
            };
            let (whole, ranges) = by_protocol.entry(protocol).or_default();
            let (first, last) = range(rule.service);
            ranges.push((first, last, number));
            if rule.service == Service::Any {
                whole.insert(number);
            }
        }

        let mut index = Box::new([0; 256]);
        let mut protocols = Vec::with_capacity(by_protocol.len());
        for (protocol, (whole, ranges)) in by_protocol {
            let intervals = Intervals::build(&ranges, rows)?;
            protocols.push(ProtocolRows {
                whole: rows.add(&whole)?,
                intervals,
            });
            // Protocol 0 is "any" in every rule, so at most 255 are here.
            index[usize::from(protocol)] = u8::try_from(protocols.len()).unwrap_or(u8::MAX);
        }
        Ok(Self {
            any: rows.add(&any)?,
            index,
            protocols: protocols.into(),
        })
    }

    /// The rules of every protocol, and those of the flow's that cover its service.
    #[inline]
    pub(super) fn get(&self, flow: &Flow) -> [RowId; 2] {
        let place = usize::from(self.index[usize::from(flow.protocol)]);
        let Some(rows) = place.checked_sub(1).map(|place| &self.protocols[place]) else {
            return [self.any, RowId::EMPTY];
        };
        let named = match flow.service {
            FlowService::Ports { dst, .. } => rows.intervals.get(dst),
            FlowService::Icmp { kind, code } => rows.intervals.get(icmp_point(kind, code)),
            FlowService::None => rows.whole,
        };
        [self.any, named]
    }
}

/// A service as a range of its protocol's line.
fn range(service: Service) -> (u16, u16) {
    match service {
        Service::Any => (0, u16::MAX),
        Service::Ports { min, max } => (min, max),
        Service::Icmp {
            kind,
            code: Some(code),
        } => (icmp_point(kind, code), icmp_point(kind, code)),
        Service::Icmp { kind, code: None } => (icmp_point(kind, 0), icmp_point(kind, u8::MAX)),
    }
}

#[inline]
const fn icmp_point(kind: u8, code: u8) -> u16 {
    u16::from_be_bytes([kind, code])
}
