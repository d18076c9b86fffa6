//! The keyed hash of a connection.
//!
//! Guests choose their ports and whom they talk to, so the hash is keyed with a seed that they cannot
//! know: without it, tuples that share one bucket could be computed in advance.

use super::{Key, KeyAddress};
use foldhash::{SharedSeed, fast::FoldHasher};
use std::{fmt, hash::Hasher};

/// What keys the hash of one table. A copy may hash outside the table's lock.
#[derive(Clone)]
pub(super) struct Seed {
    start: u64,
    shared: SharedSeed,
}

impl Seed {
    /// Derives the keys of the hash; `seed` must be random and secret in production.
    #[must_use]
    pub(super) fn new(seed: u64) -> Self {
        // Both inputs of each multiplication are keyed: with a known factor, a crafted word could
        // make it zero, and the product with it.
        Self {
            start: seed.rotate_left(32),
            shared: SharedSeed::from_u64(seed),
        }
    }

    /// Hashes a key and its protocol; of an IPv4 key in two multiplications.
    #[inline]
    #[must_use]
    pub(super) fn hash<A: KeyAddress>(&self, key: &Key<A>, protocol: u8) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.start, &self.shared);
        A::hash_both(key.addr, &mut hasher);
        hasher.write_u64(key.rest());
        hasher.write_u8(protocol);
        hasher.finish()
    }
}

/// Says nothing of the seed: it is a secret.
impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PortId;
    use std::collections::HashSet;

    fn key(n: u32) -> Key<[u8; 4]> {
        let [a, b, c, d] = n.to_be_bytes();
        let src = ([10, 0, a, b], u16::from_be_bytes([c, d]), PortId(1));
        Key::new(src, ([10, 1, 0, 1], 80, PortId(2))).0
    }

    #[test]
    fn every_part_of_the_key_counts() {
        let seed = Seed::new(7);
        let key = key(99);
        let mut others = [key; 6];
        others[0].addr[0][3] ^= 1;
        others[1].addr[1][3] ^= 1;
        others[2].l4[0] ^= 1;
        others[3].l4[1] ^= 1;
        others[4].port[0].0 ^= 1;
        others[5].port[1].0 ^= 1;
        let mut hashes: HashSet<u64> = others.iter().map(|k| seed.hash(k, 6)).collect();
        hashes.extend([
            seed.hash(&key, 6),
            seed.hash(&key, 17),
            Seed::new(8).hash(&key, 6),
        ]);
        assert_eq!(hashes.len(), 9);
    }

    #[test]
    fn neighbouring_tuples_spread_over_both_halves_of_the_hash() {
        let seed = Seed::new(1);
        let hashes: Vec<u64> = (0..4096).map(|n| seed.hash(&key(n), 6)).collect();
        for shift in [0, 52] {
            let distinct: HashSet<u64> = hashes.iter().map(|h| h >> shift & 0xfff).collect();
            // Throwing 4096 balls into 4096 boxes fills 63 % of them.
            assert!(
                (2450..2730).contains(&distinct.len()),
                "{} of 4096",
                distinct.len()
            );
        }
    }

    #[test]
    fn a_seed_does_not_show_itself() {
        assert_eq!(format!("{:?}", Seed::new(0xdead_beef)), "Seed");
    }
}
