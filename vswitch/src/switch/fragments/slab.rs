//! Datagrams by their key, in places that a sweep can visit a few at a time.

use super::DatagramKey;
use hashbrown::HashMap;

/// A map whose values lie in numbered slots. As long as its owner makes it, and no longer.
#[derive(Debug)]
pub(super) struct Slab<V> {
    places: HashMap<DatagramKey, u32, foldhash::fast::RandomState>,
    slots: Vec<Option<(DatagramKey, V)>>,
    free: Vec<u32>,
    hand: u32,
}

impl<V> Default for Slab<V> {
    fn default() -> Self {
        Self {
            places: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            hand: 0,
        }
    }
}

impl<V> Slab<V> {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn get(&self, key: &DatagramKey) -> Option<&V> {
        let &place = self.places.get(key)?;
        self.at(place).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &DatagramKey) -> Option<&mut V> {
        let &place = self.places.get(key)?;
        let (_, value) = self.slots.get_mut(place as usize)?.as_mut()?;
        Some(value)
    }

    /// Puts a value in, in place of the one that was there.
    pub(super) fn insert(&mut self, key: DatagramKey, value: V) {
        let place = match (self.places.get(&key), self.free.pop()) {
            (Some(&place), free) => {
                self.free.extend(free);
                place
            }
            (None, Some(place)) => place,
            (None, None) => {
                self.slots.push(None);
                self.slots.len() as u32 - 1
            }
        };
        self.slots[place as usize] = Some((key, value));
        self.places.insert(key, place);
    }

    pub(super) fn remove(&mut self, key: &DatagramKey) -> Option<V> {
        let place = self.places.remove(key)?;
        self.free.push(place);
        let (_, value) = self.slots.get_mut(place as usize)?.take()?;
        Some(value)
    }

    /// Slots, used or not.
    pub(super) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(super) fn at(&self, slot: u32) -> Option<&(DatagramKey, V)> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// Takes out the value that has been there about the longest: the hand goes round, and what it passes
    /// was put there in its last round.
    pub(super) fn evict(&mut self) {
        for _ in 0..self.slots() {
            let here = self.hand;
            self.hand = (here + 1) % self.slots();
            if let Some(&(key, _)) = self.at(here) {
                self.remove(&key);
                return;
            }
        }
    }
}
