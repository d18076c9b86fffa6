//! What a table holds after a peak. A process of its own, for it looks at the memory of the whole process.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use packet::protocol;
use secgroup::PortId;
use secgroup::conntrack::{Conn, Key, Slot, State, Table};
use std::fs;

const ENTRIES: u32 = 1_000_000;
/// Bytes of the index for each entry, which stay where they were once touched, and the allocator's own
/// ways, with room to spare.
const STAYS: u64 = 8 * ENTRIES as u64 + (4 << 20);

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

fn conn(number: u32) -> Conn<[u8; 4]> {
    let [_, a, b, c] = number.to_be_bytes();
    let (key, swapped) = Key::new(
        ([10, a, b, c], 40_000, PortId(1)),
        ([10, 255, 0, 1], 80, PortId(2)),
    );
    Conn::new(key, protocol::UDP, swapped, State::New)
}

/// L20: the worker's part is `Switch::spare_memory`, after every sweep.
#[test]
fn after_ten_peaks_of_a_million_entries_memory_is_back_where_it_was() {
    tap::give_back_large_allocations();
    let mut table: Table<[u8; 4], [u32; 8]> = Table::new(ENTRIES, 7);
    let before = resident();
    for _ in 0..10 {
        let slots: Vec<Slot> = (0..ENTRIES)
            .map(|number| {
                let conn = conn(number);
                let hash = table.hash(&conn.key, conn.protocol);
                table.insert(hash, conn, [0; 8]).unwrap()
            })
            .collect();
        let peak = resident();
        assert!(peak > before + 64 * u64::from(ENTRIES), "the peak is seen");
        for slot in slots {
            let _ = table.remove(slot);
        }
        while table.spare().is_some() {}
        let after = resident();
        assert!(
            after < before + STAYS,
            "{before} bytes before, {after} after"
        );
    }
}
