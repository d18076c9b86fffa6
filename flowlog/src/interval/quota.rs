//! How many records an open interval may hold, and whose they may be.

/// Bounds of one logger's open interval. A record takes 64 bytes (IPv6: 88) and 5 to 10 of index;
/// a kind of details, of which there are never more than records, up to 160.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Records of one port.
    pub records_per_port: usize,
    /// Records that every port may have whatever the others do.
    pub reserve_per_port: usize,
    /// Records of all ports together beyond their reserves.
    pub records: usize,
}

/// A million flows in both directions at each of two ports fit; a flood costs at most 310 MiB.
impl Default for Limits {
    fn default() -> Self {
        Self {
            records_per_port: 1 << 21,
            reserve_per_port: 1 << 12,
            records: 1 << 22,
        }
    }
}

impl Limits {
    /// The same for a logger that is to hold fewer records: `flow_limit` of one port, and of all ports
    /// together beyond their reserves.
    pub(crate) fn within(self, flow_limit: Option<u32>) -> Self {
        let limit = flow_limit.map_or(usize::MAX, |limit| limit as usize);
        Self {
            records_per_port: self.records_per_port.min(limit),
            reserve_per_port: self.reserve_per_port.min(limit),
            records: self.records.min(limit),
        }
    }
}

/// What is left of the limits. A port first fills its reserve, then takes from what is common: a
/// flood at one port can use up the common part, never another's reserve.
#[derive(Debug)]
pub(super) struct Quota {
    limits: Limits,
    common: usize,
}

impl Quota {
    pub(super) const fn new(limits: Limits) -> Self {
        Self { limits, common: 0 }
    }

    /// Takes room for one more record of a port that has `records`; `false` where there is none.
    pub(super) const fn admit(&mut self, records: usize) -> bool {
        if records >= self.limits.records_per_port {
            return false;
        }
        if records >= self.limits.reserve_per_port {
            if self.common >= self.limits.records {
                return false;
            }
            self.common += 1;
        }
        true
    }
}
