//! Reading the log: what was logged must be what was foretold.

use crate::laboratory::Lab;
use crate::ledger::{Count, Key, Ledger, Row};
use packet::Direction;
use secgroup::PortId;
use std::collections::BTreeMap;

impl Lab {
    pub(crate) fn fetch(&mut self) {
        for chunk in self.switch.fetch_log() {
            self.logged.take(&chunk);
            let closing = chunk.closes.iter();
            for (port, skipped) in closing.flat_map(|closing| &closing.skipped) {
                *self.told_skipped.entry(*port).or_default() += skipped.packets;
            }
        }
    }

    /// Everything that was logged since the last call. The log must hold what was foretold, no record
    /// more and none less: first by what stands in the table, then by what left it at the window's end.
    #[track_caller]
    pub(crate) fn rows(&mut self) -> Vec<Row> {
        self.sweep();
        self.fetch();
        let skipped = self.take_skipped();
        if skipped.is_empty() {
            self.check_live();
        }
        self.switch.flush(self.now);
        self.last_window = self.window();
        self.look();
        self.fetch();
        self.check_audit();
        let (foretold, logged) = (
            std::mem::take(&mut self.foretold),
            std::mem::take(&mut self.logged),
        );
        let skipped_at_flush = self.take_skipped();
        if skipped.is_empty() && skipped_at_flush.is_empty() {
            assert_eq!(logged, foretold, "the log holds what was foretold");
        } else {
            let mut sums = logged.sums();
            for (place, packets) in skipped.into_iter().chain(skipped_at_flush) {
                *sums.entry(place).or_default() += packets;
            }
            assert_eq!(
                sums,
                foretold.sums(),
                "what is not logged is counted as skipped"
            );
        }
        let row = |(key, count): (Key, Count)| Row {
            place: self.place(&key),
            key,
            count,
        };
        logged.0.into_iter().map(row).collect()
    }

    /// What stands in the table is part of what was foretold of the open window.
    fn check_live(&self) {
        let mut live = Ledger::default();
        let mut flows = Vec::new();
        let mut from = 0;
        while self
            .switch
            .flows_in(from..from + 4096, &mut flows)
            .is_some()
        {
            from += 4096;
        }
        flows
            .iter()
            .for_each(|flow| live.view(self.window().start_s, flow));
        for (key, count) in &live.0 {
            let foretold = self.foretold.0.get(key).copied().unwrap_or_default();
            let within = count.packets <= foretold.packets && count.bytes <= foretold.bytes;
            assert!(
                within && count.flags & !foretold.flags == 0,
                "{key:?} {count:?} of {foretold:?}"
            );
        }
    }

    /// The skipped packets of the present ports since the last call.
    fn take_skipped(&mut self) -> Vec<((PortId, bool, bool), u64)> {
        let mut news = Vec::new();
        for port in self.switch.ports() {
            let skipped = port.counters.skipped;
            for (ingress, direction) in [(false, Direction::Egress), (true, Direction::Ingress)] {
                for (passed, total) in [
                    (true, skipped.accepted(direction)),
                    (false, skipped.refused(direction)),
                ] {
                    let place = (port.number(), ingress, passed);
                    let before = self.skipped_before.insert(place, total).unwrap_or_default();
                    if total > before {
                        news.push((place, total - before));
                    }
                }
            }
        }
        news
    }

    /// What the closed windows said of a port's packets that no record holds.
    pub(crate) fn told_skipped(&self, port: &str) -> u64 {
        self.told_skipped
            .get(&self.number(port))
            .copied()
            .unwrap_or_default()
    }

    fn place(&self, key: &Key) -> String {
        let name = self.name(key.port);
        if key.ingress {
            format!(">{name}")
        } else {
            format!("{name}>")
        }
    }

    /// The records since the last call, added up over tuples and windows: `A> rule 20, >B revoked 3`,
    /// in any order.
    #[track_caller]
    pub(crate) fn logs(&mut self, expected: &str) {
        let mut sums = BTreeMap::<String, u64>::new();
        for row in self.rows() {
            *sums
                .entry(format!("{} {}", row.place, row.key.verdict.why()))
                .or_default() += row.count.packets;
        }
        let logged: Vec<String> = sums
            .iter()
            .map(|(what, packets)| format!("{what} {packets}"))
            .collect();
        let mut expected: Vec<&str> = expected
            .split(", ")
            .filter(|part| !part.is_empty())
            .collect();
        expected.sort_unstable();
        assert_eq!(logged, expected);
    }
}
