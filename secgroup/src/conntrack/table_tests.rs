//! The table beside its oracle.

use super::*;
use crate::{PortId, conntrack::State};
use proptest::prelude::*;
use std::collections::HashMap;

type V4 = Table<[u8; 4], [u32; 8]>;

fn key(n: u32) -> Key<[u8; 4]> {
    let src = (
        (0x0a00_0000 | n >> 8).to_be_bytes(),
        1024 + (n & 0xff) as u16,
        PortId(1),
    );
    Key::new(src, ([10, 1, 0, 1], 80, PortId(2))).0
}

fn put(table: &mut V4, n: u32) -> Option<Slot> {
    let conn = Conn::new(key(n), 6, false, State::New);
    table.insert(table.hash(&key(n), 6), conn, [n; 8])
}

fn get(table: &V4, n: u32) -> Option<Slot> {
    table.find(table.hash(&key(n), 6), &key(n), 6)
}

#[test]
fn an_ipv4_flow_is_one_cache_line_and_costs_below_a_hundred_bytes() {
    assert_eq!(size_of::<Entry<[u8; 4], [u32; 8]>>(), 64);
    assert_eq!(size_of::<Entry<[u8; 4], [u64; 4]>>(), 64);
    let mut table = V4::new(100, 1);
    for n in 0..100 {
        let slot = put(&mut table, n).unwrap();
        assert_eq!(std::ptr::from_ref(table.entry(slot)).addr() % 64, 0);
    }
}

#[test]
fn every_slot_of_the_capacity_can_be_used_and_not_one_more() {
    for capacity in [0, 1, 7, 15, 16, 17, 1000, 70_000] {
        let mut table = V4::new(capacity, 3);
        for n in 0..capacity {
            assert!(put(&mut table, n).is_some(), "{n} of {capacity}");
        }
        assert_eq!(put(&mut table, capacity), None);
        assert_eq!((table.len(), table.arena_len()), (capacity, capacity));
        assert!((0..capacity).all(|n| table.entry(get(&table, n).unwrap()).with == [n; 8]));
        assert_eq!(get(&table, capacity), None);
    }
}

#[test]
fn a_removed_slot_is_used_again_and_its_window_is_clean() {
    let mut table = V4::new(10, 3);
    let slot = put(&mut table, 1).unwrap();
    table.window_mut(slot).peers[0].end = 77;
    assert_eq!(table.remove(slot).with, [1; 8]);
    assert_eq!(get(&table, 1), None);
    assert_eq!(put(&mut table, 2), Some(slot));
    assert_eq!(*table.window(slot), TcpWindow::default());
    assert_eq!(table.arena_len(), 1);
}

#[test]
fn a_key_of_another_protocol_or_another_port_is_another_entry() {
    let mut table = V4::new(10, 3);
    put(&mut table, 1).unwrap();
    let mut moved = key(1);
    moved.port[1] = PortId(3);
    assert_eq!(table.find(table.hash(&key(1), 17), &key(1), 17), None);
    assert_eq!(table.find(table.hash(&moved, 6), &moved, 6), None);
}

#[test]
fn the_hand_of_eviction_goes_round_and_keeps_to_its_budget() {
    let mut table = V4::new(1000, 3);
    for n in 0..1000 {
        put(&mut table, n).unwrap();
    }
    let mut seen = 0;
    let none = table.victim(10, |_| {
        seen += 1;
        false
    });
    assert_eq!((none, seen), (None, 10));
    assert_eq!(
        table.victim(10, |_| true),
        Some(Slot(10)),
        "goes on where it stood"
    );
    assert_eq!(
        table.victim(1000, |entry| entry.with[0] == 5),
        Some(Slot(5)),
        "goes round"
    );
    assert_eq!(V4::new(10, 3).victim(10, |_| true), None);
}

#[test]
fn a_sweep_in_slices_sees_each_live_slot_once() {
    let mut table = V4::new(1000, 3);
    let slots: Vec<Slot> = (0..1000).map(|n| put(&mut table, n).unwrap()).collect();
    for slot in slots
        .iter()
        .filter(|slot| slot.0 % 3 != 0 || (200..500).contains(&slot.0))
    {
        table.remove(*slot);
    }
    let slices = (0..1100).step_by(100);
    let seen: Vec<u32> = slices
        .flat_map(|at| table.slots_in(at..at + 100))
        .map(|s| s.0)
        .collect();
    let live = (0..1000).filter(|slot| slot % 3 == 0 && !(200..500).contains(slot));
    assert_eq!(seen, live.collect::<Vec<u32>>());
}

#[test]
fn a_slot_freed_in_an_early_chunk_is_found_when_the_others_are_full() {
    let mut table = V4::new(150_000, 3);
    for n in 0..150_000 {
        put(&mut table, n).unwrap();
    }
    let slot = get(&table, 7).unwrap();
    table.remove(slot);
    assert_eq!(put(&mut table, 150_000), Some(slot));
    assert_eq!(table.arena_len(), 150_000);
}

#[test]
fn memory_of_a_peak_can_be_given_back_and_taken_again() {
    let mut table = V4::new(150_000, 3);
    for cycle in 0..2 {
        for n in 0..150_000 {
            put(&mut table, n).unwrap();
        }
        assert_eq!(table.arena_len(), 150_000, "cycle {cycle}");
        assert!(table.spare().is_none());
        for n in 10..150_000 {
            table.remove(get(&table, n).unwrap());
        }
        assert!(table.spare().is_some() && table.spare().is_some() && table.spare().is_none());
        assert_eq!((table.arena_len(), table.len()), (65_536, 10));
        for n in 0..10 {
            table.remove(get(&table, n).unwrap());
        }
        assert!(table.spare().is_some());
        assert_eq!(table.arena_len(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Keys from a range about as large as the capacity, so that the table is often full.
    #[test]
    fn the_table_agrees_with_a_hash_map(
        capacity in 1_u32..200,
        seed: u64,
        steps in prop::collection::vec((0_u8..5, 0_u32..250), 0..2000),
    ) {
        let mut table = V4::new(capacity, seed);
        let mut oracle: HashMap<u32, Slot> = HashMap::new();
        for (action, n) in steps {
            let found = get(&table, n);
            prop_assert_eq!(found, oracle.get(&n).copied());
            match (action, found) {
                (0..3, None) => {
                    let slot = put(&mut table, n);
                    prop_assert_eq!(slot.is_none(), oracle.len() as u32 == capacity);
                    oracle.extend(slot.map(|slot| (n, slot)));
                }
                (3, Some(slot)) => {
                    prop_assert_eq!(table.remove(slot).with, [n; 8]);
                    oracle.remove(&n);
                }
                _ => {}
            }
            prop_assert_eq!(table.len() as usize, oracle.len());
        }
        let mut live: Vec<u32> = oracle.values().map(|slot| slot.0).collect();
        live.sort_unstable();
        let swept: Vec<u32> = table.slots_in(0..table.arena_len()).map(|slot| slot.0).collect();
        prop_assert_eq!(swept, live);
    }
}
