//! Changes of the configuration: rules that go and come back, ports that move between groups, pairs,
//! address groups, switches of every kind.

use crate::dice::Dice;
use crate::world::{CAST, LIST, STATEFUL, STATELESS};

/// The first lines: rules for every group, so that something is allowed at all.
pub(super) fn opening(dice: &mut Dice) -> Vec<String> {
    let groups = STATEFUL.iter().chain(STATELESS);
    let mut lines: Vec<String> = groups.map(|group| rules(dice, group)).collect();
    lines.push(list(dice));
    if dice.once_in(3) {
        lines.push("everything: on".to_owned());
    }
    if dice.once_in(3) {
        lines.push(format!("window: {}", dice.pick(&[1, 10, 30, 900])));
    }
    let settings = [
        "persist: on",
        "loose: off",
        "liberal: on",
        "secure T: on",
        "unplug T:",
        "limit C: 0",
    ];
    lines.extend(
        settings
            .into_iter()
            .filter(|_| dice.once_in(6))
            .map(str::to_owned),
    );
    if dice.once_in(3) {
        lines.push(apart(dice));
    }
    if dice.once_in(2) {
        lines.push(timeout(dice));
    }
    if dice.once_in(3) {
        lines.push(groups_of(dice, "A"));
        lines.push(pairs(dice, "B"));
    }
    lines
}

/// A line that changes something.
pub(super) fn change(dice: &mut Dice) -> String {
    let port = dice.pick(&CAST[..5]).name;
    let guest = dice.pick(&CAST[..3]).name;
    let switch = |dice: &mut Dice| *dice.pick(&["on", "off"]);
    match dice.below(40) {
        0..=13 => {
            let group = *dice.weighed(&[
                (3, &"GA"),
                (3, &"GB"),
                (2, &"GC"),
                (2, &"R"),
                (1, &"SA"),
                (1, &"SB"),
            ]);
            rules(dice, group)
        }
        14..=19 => groups_of(dice, guest),
        20..=22 => pairs(dice, guest),
        23 | 24 => list(dice),
        25 => format!("persist: {}", switch(dice)),
        26 => format!("loose: {}", dice.pick(&["on", "on", "off"])),
        27 if dice.once_in(2) => format!("liberal: {}", dice.pick(&["off", "off", "on"])),
        27 => format!("liberal {port}: {}", dice.pick(&["", "on", "off"])),
        28 => apart(dice),
        29 if dice.once_in(3) => format!("everything: {}", switch(dice)),
        29 => format!("secure {port}: {}", switch(dice)),
        30 | 32 => format!("strict {guest}: {}", switch(dice)),
        31 => format!("mtu {port}: {}", dice.pick(&[1500, 1500, 1450, 576])),
        33 => format!(
            "servers {guest}: {}",
            dice.pick(&["", "10.0.0.11", "10.0.0.10 2001:db8::11"])
        ),
        34 => format!("ethertypes {guest}: {}", dice.pick(&["", "35020"])),
        35 if dice.once_in(2) => format!("unplug {}:", dice.pick(CAST).name),
        35..=37 => format!("plug {}:", dice.pick(CAST).name),
        38 => fixed(dice, guest),
        _ => timeout(dice),
    }
}

fn timeout(dice: &mut Dice) -> String {
    let (name, seconds) = *dice.pick(&[
        ("tcp_established", 60),
        ("tcp_established", 3_600),
        ("udp", 60),
        ("udp_stream", 60),
        ("tcp_time_wait", 1),
        ("tcp_unacknowledged", 5),
        ("tcp_max_retrans", 3),
        ("tcp_max_retrans", 3),
        ("icmp", 2),
        ("revoked", 3),
    ]);
    format!("timeout {name}: {seconds}")
}

fn apart(dice: &mut Dice) -> String {
    let words = ["setup", "icmp", "epochs", "macs"];
    let chosen: Vec<&str> = words.into_iter().filter(|_| dice.once_in(2)).collect();
    format!("apart: {}", chosen.join(" "))
}

fn rules(dice: &mut Dice, group: &str) -> String {
    let count = *dice.pick(&[0, 1, 2, 3, 3, 4, 6]);
    let mut rules: Vec<String> = (0..count).map(|_| rule(dice)).collect();
    // Often a guest hears everybody, and mostly it may speak at all.
    if dice.once_in(3) {
        rules.push("ingress IPv4 any from any".to_owned());
        rules.push("ingress IPv6 any from any".to_owned());
    }
    if !dice.once_in(5) {
        rules.push("egress IPv4 any to any".to_owned());
        rules.push("egress IPv6 any to any".to_owned());
    }
    format!("rules {group}: {}", rules.join("; "))
}

fn rule(dice: &mut Dice) -> String {
    let is_v4 = !dice.once_in(3);
    let family = if is_v4 { "IPv4" } else { "IPv6" };
    let icmp = if is_v4 { "icmp" } else { "ipv6-icmp" };
    let what = match dice.below(16) {
        0..=3 => "any".to_owned(),
        4..=5 => "tcp".to_owned(),
        6..=8 => format!("tcp {}", range(dice)),
        9 => "udp".to_owned(),
        10..=11 => format!("udp {}", range(dice)),
        12 => icmp.to_owned(),
        13 => format!(
            "{icmp} type {}",
            dice.pick(if is_v4 {
                &[8, 0, 3, 13]
            } else {
                &[128, 129, 1, 2]
            })
        ),
        14 => format!(
            "{icmp} type {} code {}",
            dice.pick(if is_v4 { &[8, 5] } else { &[128, 135] }),
            dice.below(2)
        ),
        _ => (*dice.pick(&["gre", "sctp", "sctp 2-3", "vrrp", "udplite 2"])).to_owned(),
    };
    let prefixes: &[&str] = if is_v4 {
        &[
            "10.0.0.10/32",
            "10.0.0.8/30",
            "10.0.0.0/24",
            "198.51.100.0/24",
            "10.0.0.0/8",
            "10.0.0.50/32",
        ]
    } else {
        &[
            "2001:db8::10/128",
            "2001:db8::/64",
            "2001:db8::/32",
            "fe80::/10",
        ]
    };
    let whom = match dice.below(10) {
        0..=3 => "any".to_owned(),
        4..=5 => (*dice.pick(prefixes)).to_owned(),
        6..=8 => format!("group {}", dice.pick(&["R", "R", "GA", "GB", "GC", "SA"])),
        _ => format!("address-group {LIST}"),
    };
    if dice.once_in(4) {
        format!("egress {family} {what} to {whom}")
    } else {
        format!("ingress {family} {what} from {whom}")
    }
}

fn range(dice: &mut Dice) -> String {
    let min = 1 + dice.below(4);
    format!("{min}-{}", min + dice.below(3))
}

fn groups_of(dice: &mut Dice, port: &str) -> String {
    let own = format!("G{port}");
    let groups: Vec<&str> = match dice.below(10) {
        0 => Vec::new(),
        1..=3 => vec![&own],
        4..=6 => vec![&own, "R"],
        7 => vec!["R"],
        8 => vec!["SA"],
        _ => vec!["SA", "SB"],
    };
    format!("groups {port}: {}", groups.join(" "))
}

fn pairs(dice: &mut Dice, port: &str) -> String {
    let of = dice.pick(CAST).mac();
    let all = [
        "10.0.0.50/32".to_owned(),
        "10.0.0.50/32@00:00:5e:00:01:01".to_owned(),
        "10.0.0.50/32@00:00:5e:00:01:01".to_owned(),
        "10.0.0.64/30".to_owned(),
        "0.0.0.0/0".to_owned(),
        "::/0@00:00:5e:00:01:01".to_owned(),
        format!("10.0.0.10/32@{of}"),
        "2001:db8::/64".to_owned(),
    ];
    let chosen: Vec<&str> = (0..dice.below(4))
        .map(|_| dice.pick(&all).as_str())
        .collect();
    format!("pairs {port}: {}", chosen.join(" "))
}

fn fixed(dice: &mut Dice, port: &str) -> String {
    let own = CAST.iter().find(|actor| actor.name == port);
    let own = own.map_or_else(Vec::new, |actor| {
        vec![actor.v4().to_string(), actor.v6().to_string()]
    });
    let addresses = match dice.below(4) {
        0 => own[..own.len().min(1)].to_vec(),
        1 => vec!["10.0.0.77".to_owned()],
        _ => own,
    };
    format!("fixed {port}: {}", addresses.join(" "))
}

fn list(dice: &mut Dice) -> String {
    let all = [
        "10.0.0.10/32",
        "10.0.0.0/24",
        "198.51.100.0/24",
        "2001:db8::/64",
        "2001:db8::11/128",
    ];
    let chosen: Vec<&str> = (0..dice.below(3)).map(|_| *dice.pick(&all)).collect();
    format!("list: {}", chosen.join(" "))
}
