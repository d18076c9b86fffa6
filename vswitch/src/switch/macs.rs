//! MAC addresses beside the table, while a logger tells records apart by them. An entry has no room for
//! them; what is counted in it has one pair for each way, and leaves when another pair comes.

use packet::Mac;
use secgroup::conntrack::{Slot, Way};

/// Source and destination of each way, original first.
pub(super) type MacPairs = [[Mac; 2]; 2];

/// The pairs of both families' entries, by slot. Empty while nobody asks.
#[derive(Debug, Default)]
pub(super) struct Macs([Vec<MacPairs>; 2]);

impl Macs {
    /// The pairs of an entry; zeros are not known.
    pub(super) fn get(&self, family: usize, slot: Slot) -> MacPairs {
        let known = self.0.get(family).and_then(|all| all.get(slot.0 as usize));
        known.copied().unwrap_or_default()
    }

    /// Notes the pair of what is counted next.
    pub(super) fn set(&mut self, family: usize, slot: Slot, way: Way, pair: [Mac; 2]) {
        let Some(all) = self.0.get_mut(family) else {
            return;
        };
        let place = slot.0 as usize;
        if place >= all.len() {
            all.resize(place + 1, MacPairs::default());
        }
        all[place][way as usize] = pair;
    }

    /// Forgets everything and gives the memory back.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
