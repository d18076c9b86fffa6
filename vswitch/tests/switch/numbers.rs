//! Numbers of ports, subnets, VPCs and policies: what runs out is refused or given again, and merges nothing.

use crate::laboratory::Lab;
use crate::setup::{EG, NONE, OPEN, Setup, id};
use crate::talk::Talk;
use secgroup::{PortId, RuleTable};
use std::net::IpAddr;
use uuid::Uuid;
use vswitch::switch::{Compiled, Now, NumbersUsedUp, Prepared, Switch, SwitchConfig};

/// Numbers that a switch has for ports.
const NUMBERS: usize = PortId::PSEUDO as usize;
/// New ports in each round: of eight rounds' numbers, none is left for a ninth.
const PORTS: usize = 8_000;

/// A, and as many ports more whose ids only this round has.
fn crowd(round: u128) -> SwitchConfig {
    let mut config = Setup::new().unplug("B").unplug("C").unplug("U").config;
    let pattern = config.ports[0].clone();
    for at in 0..PORTS {
        let mut port = pattern.clone();
        let [high, low] = u16::try_from(at).unwrap().to_be_bytes();
        port.id = Uuid::from_u128(round << 64 | at as u128);
        port.spec.mac = packet::Mac([2, 0, 0, 1, high, low]);
        port.spec.fixed_ips = vec![IpAddr::from([10, 1, high, low])];
        config.ports.push(port);
    }
    config
}

struct Rounds {
    switch: Switch,
    now: Now,
    rules: RuleTable,
    compiled: Compiled,
}

impl Rounds {
    fn new() -> Self {
        let now = Now {
            ms: 1_000,
            wall_us: crate::laboratory::NEW_YEAR_S * 1_000_000,
        };
        Self {
            switch: Switch::new(now, 7, 64, 60),
            now,
            rules: RuleTable::default(),
            compiled: Compiled::default(),
        }
    }

    fn apply(&mut self, round: u128) -> Result<usize, NumbersUsedUp> {
        let config = crowd(round);
        let (prepared, compiled) =
            Prepared::after(&self.compiled, config, &mut self.rules).unwrap();
        self.compiled = compiled;
        let (new, _) = self.switch.apply(self.now, prepared)?;
        Ok(new.len())
    }

    fn sweep(&mut self, wait_ms: u32) {
        self.now.ms += wait_ms;
        self.now.wall_us += u64::from(wait_ms) * 1000;
        while self.switch.sweep(self.now) {}
    }
}

#[test]
fn a_reload_without_numbers_for_its_ports_is_refused_whole_and_says_when_there_are() {
    let mut rounds = Rounds::new();
    assert_eq!(rounds.apply(0), Ok(PORTS + 1));
    for round in 1..8 {
        assert_eq!(rounds.apply(round), Ok(PORTS), "round {round}");
    }
    let before: Vec<Uuid> = rounds.switch.ports().map(|port| port.config.id).collect();
    let epoch = rounds.switch.policy_epoch();
    let refused = rounds.apply(8).unwrap_err();
    let expected = NumbersUsedUp {
        wanted: PORTS,
        free: NUMBERS - 8 * PORTS - 1,
        resting: 7 * PORTS,
        wait_s: 121,
    };
    assert_eq!(refused, expected);
    let text = refused.to_string();
    assert!(text.contains("reload again in 121 s"), "{text}");
    let after = rounds.switch.ports().map(|port| port.config.id);
    assert!(after.eq(before), "nothing has changed");
    assert_eq!(rounds.switch.policy_epoch(), epoch);
    // The longest interval of a logger is over, and the sweep has been everywhere.
    rounds.sweep(121_000);
    for round in 8..10 {
        assert_eq!(rounds.apply(round), Ok(PORTS), "round {round}");
        assert_eq!(rounds.switch.ports().count(), PORTS + 1);
    }
}

#[test]
fn a_number_that_is_given_again_brings_nothing_of_its_former_port_along() {
    let mut rounds = Rounds::new();
    for round in 0..8 {
        rounds.apply(round).unwrap();
    }
    rounds.sweep(121_000);
    rounds.apply(8).unwrap();
    let numbers: Vec<u16> = rounds.switch.ports().map(|port| port.number().0).collect();
    let mut distinct = numbers.clone();
    distinct.dedup();
    assert_eq!(numbers, distinct, "each port has its own");
    let reused = rounds
        .switch
        .ports()
        .filter(|port| usize::from(port.number().0) <= PORTS);
    assert!(
        reused.count() > PORTS / 2,
        "most are numbers of the first round's ports"
    );
    assert!(
        rounds
            .switch
            .ports()
            .all(|port| port.connections == 0 && port.counters.rx == 0)
    );
    let places: Vec<_> = rounds
        .switch
        .fdb()
        .map(|(_, mac, place)| (mac, place.port))
        .collect();
    assert_eq!(places.len(), PORTS + 1);
    for (mac, port) in places {
        assert_eq!(rounds.switch.port(port).map(|port| port.mac()), Some(mac));
    }
}

/// Subnets and VPCs come and go far beyond 65,536 in all: guests with equal addresses never meet.
#[test]
fn tenants_never_meet_however_many_there_were() {
    let mut lab = Lab::new(Setup::of_b("out, in udp 9"));
    let tenant = |round: u128| {
        move |port: &mut vswitch::switch::PortConfig| {
            port.subnet = Uuid::from_u128(round);
            port.vpc = Uuid::from_u128(round);
        }
    };
    // The numbers' own test goes through 70,000; here each reuse is looked at.
    for round in 1..50 {
        lab.reload(|setup| {
            let setup = setup.unplug("D").guest("D", 11).port("D", tenant(round));
            setup.port("D", |port| port.id = Uuid::from_u128(round << 64))
        });
        lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
        let to_b = "udp 10.0.0.11:1 > 10.0.0.10:9 to fa:16:3e:00:00:0a";
        lab.sees("D", to_b, "D> rule, nobody");
    }
}

#[test]
fn the_forwarding_database_names_each_ports_subnet_whatever_the_file_lists_first() {
    let elsewhere = |port: &mut vswitch::switch::PortConfig| port.subnet = id("subnet", "N2");
    let mut lab = Lab::new(Setup::new().guest("N", 50).port("N", elsewhere));
    let named = |lab: &Lab| {
        let mut named: Vec<_> = lab
            .switch
            .fdb()
            .map(|(subnet, mac, _)| (mac.0[5], subnet == id("subnet", "N2")))
            .collect();
        named.sort_unstable();
        named
    };
    let expected = [
        (1, false),
        (10, false),
        (11, false),
        (12, false),
        (50, true),
    ];
    assert_eq!(named(&lab), expected);
    lab.reload(|setup| setup.set(|config| config.ports.reverse()));
    assert_eq!(named(&lab), expected);
    lab.reload(|setup| setup.unplug("A").unplug("B").unplug("C").unplug("U"));
    assert_eq!(named(&lab), [(50, true)]);
}

/// As the sweep has marked what is stale, the table is not walked under the lock when numbers begin again.
#[test]
fn the_policies_numbers_wrap_without_a_walk_through_the_table() {
    let mut lab = Lab::new(Setup::of_b("out, in tcp 80").unplug("C").unplug("U"));
    let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    lab.sees("A", "tcp A:4001 > B:80 syn", "A> rule, >B rule");
    lab.reload(|setup| setup.groups_of("A", &[]).groups_of("B", &[]));
    lab.tick(1_000);
    let config = lab.setup.config.clone();
    let mut compiled = Compiled::default();
    for _ in 0..u16::MAX {
        let (prepared, next) = Prepared::after(&compiled, config.clone(), &mut lab.rules).unwrap();
        compiled = next;
        lab.switch.apply(lab.now, prepared).unwrap();
        if lab.switch.policy_epoch().is_multiple_of(8_192) {
            lab.now.ms += 1_000;
            while lab.switch.sweep(lab.now) {}
        }
        if lab.switch.policy_epoch() == u16::MAX {
            // What expires just now is still there after the wrap: only a sweep takes it out.
            lab.now.ms += 120_000;
        }
    }
    assert_eq!(lab.switch.connections().0, 2);
    talk.says(&mut lab, 0, "psh,ack", 10, "A> revoked");
    lab.sweep();
    assert_eq!(lab.switch.connections().0, 1);
}

/// The lock is held for a slice at a time also where windows become longer or shorter.
#[test]
fn a_changed_interval_closes_its_window_and_leaves_its_tallies_to_the_sweep() {
    let mut lab = Lab::new(Setup::of_b(OPEN));
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.reload(|setup| setup.set(|config| config.window_length_s = 10));
    assert!(lab.switch.is_closing());
    lab.fetch();
    assert!(lab.logged.0.is_empty(), "nothing was swept yet");
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.sweep();
    assert!(!lab.switch.is_closing());
    lab.logs("A> rule 2, >B rule 2");
}

/// A port whose groups change alone keeps its place, and what was learned behind it.
#[test]
fn a_change_of_rules_leaves_the_forwarding_database_alone() {
    let mut lab = Lab::new(Setup::of_b(EG).unfiltered("C"));
    lab.sees(
        "C",
        "udp C:1 > B:9 from 02:00:00:00:01:01",
        "C> unfiltered, >B default_deny",
    );
    let places = |lab: &Lab| {
        let mut places: Vec<_> = lab
            .switch
            .fdb()
            .map(|(_, mac, place)| (mac, place))
            .collect();
        places.sort_unstable_by_key(|(mac, _)| *mac);
        places
    };
    let before = places(&lab);
    assert_eq!(before.len(), 5);
    lab.reload(|setup| setup.group("B", NONE).groups_of("A", &["A", "B"]));
    assert_eq!(places(&lab), before);
}
