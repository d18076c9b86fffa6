//! Anything may come in any order, and the laboratory's own checks must hold throughout: what `trace` said,
//! the identity, the log.

use crate::laboratory::Lab;
use crate::setup::Setup;
use packet::{Gso, GsoKind, Offload};
use proptest::prelude::*;

/// Guests that speak.
const NAMES: [&str; 4] = ["A", "B", "C", "U"];

/// Rule sets, from closed to open.
const RULES: [&str; 8] = [
    "",
    "out",
    "out, in udp 1-2",
    "out, in from group A",
    "out udp 2 to 10.0.0.11, in icmp type 8",
    "out, in tcp 1-2, in udp 3 from 10.0.0.12/32",
    "out4, in6, in4 udp from group RG",
    "out, in",
];

#[derive(Debug, Clone)]
enum Event {
    Packet {
        from: usize,
        text: String,
    },
    Garbage {
        from: usize,
        bytes: Vec<u8>,
    },
    Bent {
        from: usize,
        text: String,
        at: usize,
        to: u8,
        cut: usize,
    },
    Segments {
        from: usize,
        size: u16,
    },
    Wait {
        ms: u64,
        sweep: bool,
    },
    Rules {
        of: usize,
        rules: usize,
    },
    Join {
        who: usize,
        groups: usize,
    },
    PortSecurity {
        of: usize,
        on: bool,
    },
    Stateful {
        of: usize,
        on: bool,
    },
    Limit {
        of: usize,
        connections: u32,
    },
    Replug {
        who: usize,
    },
}

fn address() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "A",
        "B",
        "C",
        "U",
        "X",
        "10.0.0.99",
        "255.255.255.255",
        "239.1.1.1",
    ])
}

fn text() -> impl Strategy<Value = String> {
    let ports = || (1_u16..4, 1_u16..4);
    let flags = prop::sample::select(vec![
        "syn", "syn,ack", "ack", "psh,ack", "fin,ack", "rst", "none",
    ]);
    let udp =
        (address(), address(), ports(), any::<bool>()).prop_map(|(src, dst, (s, d), long)| {
            format!(
                "udp {src}:{s} > {dst}:{d} len={}",
                if long { 1480 } else { 9 }
            )
        });
    let tcp = (address(), address(), ports(), flags, 0_u32..3).prop_map(
        |(src, dst, (s, d), flags, seq)| {
            format!("tcp {src}:{s} > {dst}:{d} {flags} seq={seq} ack={seq}")
        },
    );
    let v6 = (
        prop::sample::select(vec!["A6", "B6", "C6", "U6", "A.ll"]),
        prop::sample::select(vec!["A6", "B6", "U6", "ff02::1"]),
        ports(),
    )
        .prop_map(|(src, dst, (s, d))| {
            let bracket = |end: &str, port| {
                if end.contains(':') {
                    format!("[{end}]:{port}")
                } else {
                    format!("{end}:{port}")
                }
            };
            format!("udp {} > {}", bracket(src, s), bracket(dst, d))
        });
    let icmp = (
        address(),
        address(),
        prop::sample::select(vec![0, 3, 5, 8, 13, 14]),
        1..3,
    )
        .prop_map(|(src, dst, kind, id)| format!("icmp {src} > {dst} type={kind} id={id} len=28"));
    let fragment = (address(), address(), 1..3, 0_u16..5, any::<bool>()).prop_map(
        |(src, dst, id, place, more)| {
            if place == 0 {
                return format!("udp {src}:1 > {dst}:2 frag={id}:0:24:+");
            }
            format!(
                "udp {src} > {dst} frag={id}:{}:16{}",
                8 + place * 16,
                if more { ":+" } else { "" }
            )
        },
    );
    let other = prop::sample::select(vec![
        "arp who-has 10.0.0.11 tell 10.0.0.10".to_owned(),
        "proto=112 A > B len=8".to_owned(),
        "udp A:68 > 255.255.255.255:67".to_owned(),
        "udp U:67 > A:68 to A.mac".to_owned(),
        "udp A:1 > B:2 to 02:00:00:00:00:99".to_owned(),
        "udp X:1 > A:2 from 02:00:00:00:00:99".to_owned(),
        "icmpv6 A6 > ff02::1:ff00:11 neighbour-solicitation target=B6 lladdr=A.mac".to_owned(),
    ]);
    prop_oneof![4 => udp, 3 => tcp, 1 => v6, 2 => icmp, 2 => fragment, 1 => other]
}

fn event() -> impl Strategy<Value = Event> {
    let who = || 0..NAMES.len();
    let guest = || 0..3_usize;
    prop_oneof![
        20 => (who(), text()).prop_map(|(from, text)| Event::Packet { from, text }),
        1 => (who(), prop::collection::vec(any::<u8>(), 0..80)).prop_map(|(from, bytes)| Event::Garbage { from, bytes }),
        3 => (who(), text(), 12..60_usize, any::<u8>(), 10..80_usize)
            .prop_map(|(from, text, at, to, cut)| Event::Bent { from, text, at, to, cut }),
        1 => (who(), 1_u16..3000).prop_map(|(from, size)| Event::Segments { from, size }),
        4 => (prop::sample::select(vec![1, 2_500, 15_000, 30_000, 59_000, 500_000]), any::<bool>())
            .prop_map(|(ms, sweep)| Event::Wait { ms, sweep }),
        2 => (guest(), 0..RULES.len()).prop_map(|(of, rules)| Event::Rules { of, rules }),
        1 => (guest(), 0..3_usize).prop_map(|(who, groups)| Event::Join { who, groups }),
        1 => (guest(), any::<bool>()).prop_map(|(of, on)| Event::PortSecurity { of, on }),
        1 => (guest(), any::<bool>()).prop_map(|(of, on)| Event::Stateful { of, on }),
        1 => (guest(), 0_u32..4).prop_map(|(of, connections)| Event::Limit { of, connections }),
        1 => guest().prop_map(|who| Event::Replug { who }),
    ]
}

fn groups(name: &'static str, choice: usize) -> Vec<&'static str> {
    match choice {
        0 => vec![],
        1 => vec![name],
        _ => vec![name, "RG"],
    }
}

fn apply(lab: &mut Lab, event: &Event) {
    match event {
        Event::Packet { from, text } => drop(lab.send(NAMES[*from], text)),
        Event::Garbage { from, bytes } => drop(lab.send_frame(NAMES[*from], bytes)),
        Event::Bent {
            from,
            text,
            at,
            to,
            cut,
        } => {
            let mut frame = lab.frame(NAMES[*from], text);
            if let Some(byte) = frame.get_mut(*at) {
                *byte = *to;
            }
            frame.truncate(*cut);
            lab.send_frame(NAMES[*from], &frame);
        }
        Event::Segments { from, size } => {
            let frame = lab.frame(NAMES[*from], "tcp A:1 > B:1 ack len=9000");
            let gso = Some(Gso {
                kind: GsoKind::Tcp4,
                size: *size,
            });
            lab.send_offload(
                NAMES[*from],
                Offload {
                    needs_checksum: true,
                    gso,
                    data_valid: false,
                },
                &frame,
            );
        }
        Event::Wait { ms, sweep: true } => lab.tick(*ms),
        Event::Wait { ms, sweep: false } => lab.wait(*ms),
        Event::Rules { of, rules } => lab.group(NAMES[*of], RULES[*rules]),
        Event::Join {
            who,
            groups: choice,
        } => lab.reload(|setup| {
            let secured = setup
                .config
                .ports
                .iter()
                .any(|port| port.name == NAMES[*who] && port.spec.port_security);
            let wanted = if secured {
                groups(NAMES[*who], *choice)
            } else {
                Vec::new()
            };
            setup.groups_of(NAMES[*who], &wanted)
        }),
        Event::PortSecurity { of, on: false } => lab.reload(|setup| setup.unfiltered(NAMES[*of])),
        Event::PortSecurity { of, on: true } => lab.reload(|setup| {
            let setup = setup.port(NAMES[*of], |port| port.spec.port_security = true);
            setup.groups_of(NAMES[*of], &[NAMES[*of]])
        }),
        Event::Stateful { of, on } => lab.reload(|mut setup| {
            // All of them, so that no port has both kinds.
            for group in setup
                .config
                .model
                .groups
                .iter_mut()
                .filter(|group| group.name != "RG" || *of == 0)
            {
                group.stateful = *on;
            }
            let mixed = setup
                .config
                .model
                .groups
                .iter()
                .any(|group| group.stateful != *on);
            if mixed {
                setup
                    .config
                    .model
                    .groups
                    .iter_mut()
                    .for_each(|group| group.stateful = *on);
            }
            setup
        }),
        Event::Limit { of, connections } => {
            // Of a flood's copies the first may use up the limit, which `trace` does not foresee.
            let open = lab
                .setup
                .config
                .ports
                .iter()
                .any(|port| !port.spec.port_security);
            let limit = (*connections > 0 && !open).then_some(*connections);
            lab.reload(|setup| setup.port(NAMES[*of], |port| port.conntrack_limit = limit));
        }
        Event::Replug { who } => {
            let port = lab
                .setup
                .config
                .ports
                .iter()
                .find(|port| port.name == NAMES[*who])
                .unwrap()
                .clone();
            lab.reload(|setup| setup.unplug(NAMES[*who]));
            lab.reload(|mut setup| {
                setup.config.ports.insert(0, port);
                setup
            });
        }
    }
}

fn start() -> Setup {
    Setup::of_b("out, in udp, in tcp 1-2, in icmp")
        .group("RG", "")
        .set(|config| config.window_length_s = 30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// SPEC sections 5.4 and 9.
    #[test]
    fn whatever_comes_the_log_the_counters_and_trace_agree(events in prop::collection::vec(event(), 1..120)) {
        let mut lab = Lab::new(start());
        for event in &events {
            // With a limit set, a port without port security would make copies race for it.
            if matches!(event, Event::PortSecurity { on: false, .. })
                && lab.setup.config.ports.iter().any(|port| port.conntrack_limit.is_some())
            {
                continue;
            }
            apply(&mut lab, event);
        }
        lab.rows();
    }

    /// With tables and shares that are full: what is not logged is counted as skipped, exactly.
    #[test]
    fn whatever_overflows_is_counted(events in prop::collection::vec(event(), 1..150)) {
        let mut setup = start();
        setup.connections_max = 6;
        for port in &mut setup.config.ports {
            port.flow_limit = 5;
        }
        let mut lab = Lab::new(setup);
        // Not with copies that race for the last place, nor with ports that take their counters along.
        let stays = |event: &&Event| {
            !matches!(event, Event::PortSecurity { .. } | Event::Replug { .. } | Event::Limit { .. })
        };
        for event in events.iter().filter(stays) {
            apply(&mut lab, event);
            prop_assert!(lab.switch.connections().0 <= 6);
        }
        lab.rows();
    }
}
