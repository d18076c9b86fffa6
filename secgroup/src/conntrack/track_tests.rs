//! Protocols without a machine of their own, timeouts and the clock.

use super::*;
use crate::{
    PortId,
    conntrack::{Conn, Key},
};
use packet::Icmp;

const UDP: L4 = L4::Udp {
    src_port: 4000,
    dst_port: 53,
};

fn ip(protocol: u8, l4: L4) -> Ip {
    let (src, dst) = ([10, 0, 0, 10].into(), [10, 0, 0, 11].into());
    let (hop_limit, l4_offset, end) = (64, 34, 98);
    Ip {
        src,
        dst,
        protocol,
        hop_limit,
        fragment: None,
        l4,
        l4_offset,
        end,
    }
}

fn icmp(kind: u8) -> Ip {
    ip(
        protocol::ICMP,
        L4::Icmp(Icmp {
            kind,
            code: 0,
            id: 7,
        }),
    )
}

/// A connection with its deadline, on a clock set by hand.
struct Flow {
    conn: Conn<[u8; 4]>,
    window: TcpWindow,
    settings: Settings,
}

impl Flow {
    fn open(ip: &Ip, now_ms: u32) -> Self {
        let settings = Settings::default();
        let (state, window) = open(ip, now_ms, &settings).unwrap();
        let end = ([10, 0, 0, 10], 1, PortId(1));
        let mut conn = Conn::new(Key::new(end, end).0, ip.protocol, false, state);
        conn.deadline_ms = now_ms.wrapping_add(timeout_ms(state, ip.protocol, &settings.timeouts));
        Self {
            conn,
            window,
            settings,
        }
    }

    /// The state after a packet, `None` if the connection had expired.
    fn step(&mut self, way: Way, ip: &Ip, now_ms: u32) -> Option<State> {
        if self.conn.is_expired(now_ms) {
            return None;
        }
        let state = self.conn.state();
        let after = advance(state, &self.window, way, ip, now_ms, &self.settings).unwrap();
        self.conn.set_state(after.state);
        self.window = after.window;
        let timeout_ms = timeout_ms(after.state, ip.protocol, &self.settings.timeouts);
        self.conn.deadline_ms = now_ms.wrapping_add(timeout_ms);
        Some(after.state)
    }
}

/// That of a flow opened at `start`, for a reply so many seconds later.
fn reply_after(seconds: u32, request: &Ip, reply: &Ip) -> Option<State> {
    // The clock wraps on the way.
    let start_ms = u32::MAX - 5000;
    Flow::open(request, start_ms).step(Way::Reply, reply, start_ms.wrapping_add(1000 * seconds))
}

#[test]
fn a_reply_comes_in_time_or_too_late() {
    let vrrp = ip(112, L4::Opaque);
    let gre = ip(protocol::GRE, L4::Opaque);
    let (udp, ping, pong) = (ip(protocol::UDP, UDP), icmp(8), icmp(0));
    let cases = [
        (&udp, &udp, 30),
        (&ping, &pong, 30),
        (&vrrp, &vrrp, 600),
        (&gre, &gre, 30),
    ];
    for (request, reply, timeout_s) in cases {
        assert!(reply_after(timeout_s - 1, request, reply).is_some());
        assert_eq!(reply_after(timeout_s + 1, request, reply), None);
    }
}

#[test]
fn a_syn_is_waited_for_two_minutes() {
    let syn = packet::Tcp {
        src_port: 40_000,
        dst_port: 80,
        seq: 1,
        ack: 0,
        flags: packet::tcp_flags::SYN,
        window: 1000,
        payload_len: 0,
        window_scale: None,
        sack: None,
    };
    let flags = syn.flags | packet::tcp_flags::ACK;
    let answer = ip(
        protocol::TCP,
        L4::Tcp(packet::Tcp {
            seq: 9,
            ack: 2,
            flags,
            ..syn
        }),
    );
    let syn = ip(protocol::TCP, L4::Tcp(syn));
    assert_eq!(reply_after(119, &syn, &answer), Some(State::SynRecv));
    assert_eq!(reply_after(121, &syn, &answer), None);
}

#[test]
fn datagrams_that_nobody_answers_stay_new_for_ever() {
    let udp = ip(protocol::UDP, UDP);
    let mut flow = Flow::open(&udp, 0);
    for second in 1..200 {
        assert_eq!(
            flow.step(Way::Original, &udp, second * 1000),
            Some(State::New)
        );
    }
}

#[test]
fn an_answered_udp_flow_is_a_stream_once_it_is_older_than_two_seconds() {
    let udp = ip(protocol::UDP, UDP);
    let start_ms = u32::MAX - 1000;
    let at = |ms: u32| start_ms.wrapping_add(ms);
    let mut flow = Flow::open(&udp, start_ms);
    assert_eq!(flow.window.birth_ms(), start_ms);
    assert_eq!(flow.step(Way::Reply, &udp, at(10)), Some(State::Replied));
    assert_eq!(
        flow.step(Way::Original, &udp, at(2000)),
        Some(State::Replied)
    );
    assert_eq!(
        flow.step(Way::Original, &udp, at(2001)),
        Some(State::Stream)
    );
    assert_eq!(
        flow.step(Way::Reply, &udp, at(2001 + 119_000)),
        Some(State::Stream)
    );
    assert_eq!(
        flow.step(Way::Reply, &udp, at(2001 + 119_000 + 121_000)),
        None
    );
}

#[test]
fn only_what_asks_opens_an_icmp_connection() {
    let settings = Settings::default();
    for kind in 0..=u8::MAX {
        let opens = open(&icmp(kind), 0, &settings).is_ok();
        assert_eq!(opens, [8, 13, 15, 17].contains(&kind), "ICMP {kind}");
        let v6 = ip(
            protocol::ICMPV6,
            L4::Icmp(Icmp {
                kind,
                code: 0,
                id: 7,
            }),
        );
        assert_eq!(
            open(&v6, 0, &settings).is_ok(),
            [128, 139].contains(&kind),
            "ICMPv6 {kind}"
        );
    }
}

#[test]
fn within_a_ping_each_side_keeps_to_its_part() {
    let (settings, window) = (Settings::default(), TcpWindow::born(0));
    let after = |state, way, kind| {
        advance(state, &window, way, &icmp(kind), 0, &settings).map(|after| after.state)
    };
    assert_eq!(after(State::New, Way::Original, 8), Ok(State::New));
    assert_eq!(after(State::New, Way::Reply, 0), Ok(State::Replied));
    assert_eq!(after(State::Replied, Way::Original, 8), Ok(State::Replied));
    assert!(after(State::New, Way::Original, 0).is_err());
    assert!(after(State::New, Way::Reply, 8).is_err());
    assert!(
        after(State::New, Way::Reply, 3).is_err(),
        "an error is no part of it"
    );
}

#[test]
fn an_answered_gre_tunnel_is_kept_longer() {
    let gre = ip(protocol::GRE, L4::Opaque);
    let mut flow = Flow::open(&gre, 0);
    assert_eq!(flow.step(Way::Reply, &gre, 1000), Some(State::Replied));
    assert_eq!(
        flow.step(Way::Original, &gre, 180_000),
        Some(State::Replied)
    );
}

#[test]
fn port_zero_and_a_missing_header_open_nothing() {
    let settings = Settings::default();
    for (src_port, dst_port) in [(0, 53), (4000, 0)] {
        let udp = ip(protocol::UDP, L4::Udp { src_port, dst_port });
        assert_eq!(open(&udp, 0, &settings), Err(Invalid("port_zero")));
    }
    for number in [protocol::TCP, protocol::UDP, protocol::ICMP, protocol::SCTP] {
        let cut = ip(number, L4::Opaque);
        assert_eq!(open(&cut, 0, &settings), Err(Invalid("no_header")));
        let window = TcpWindow::default();
        assert!(advance(State::Replied, &window, Way::Reply, &cut, 0, &settings).is_err());
    }
}

#[test]
fn an_entry_that_only_counts_is_no_connection_and_can_become_one() {
    let udp = ip(protocol::UDP, UDP);
    let (settings, window) = (Settings::default(), TcpWindow::default());
    let opened = advance(State::Counted, &window, Way::Reply, &udp, 5, &settings).unwrap();
    assert!(opened.reopens && opened.state == State::New && opened.window.birth_ms() == 5);
}

fn tcp(flags: u8, seq: u32, ack: u32, payload_len: u32) -> L4 {
    let (src_port, dst_port, window) = (4000, 80, 5000);
    L4::Tcp(packet::Tcp {
        src_port,
        dst_port,
        seq,
        ack,
        flags,
        window,
        payload_len,
        window_scale: None,
        sack: None,
    })
}

/// The first fragment of a longer segment.
fn first_part(l4: L4) -> Ip {
    let (id, offset, len, more) = (1, 0, 600, true);
    let fragment = packet::Fragment {
        id,
        offset,
        len,
        more,
    };
    Ip {
        fragment: Some(fragment),
        ..ip(protocol::TCP, l4)
    }
}

#[test]
fn what_is_acknowledged_of_a_segment_in_fragments_is_more_than_its_first_holds() {
    use packet::tcp_flags::{ACK, RST, SYN};
    let settings = Settings::default();
    let whole = |l4| ip(protocol::TCP, l4);
    let step =
        |state, window: &TcpWindow, way, ip: &Ip| advance(state, window, way, ip, 0, &settings);
    // 100 bytes of data follow the SYN in a further fragment, and nobody listens.
    let syn = first_part(tcp(SYN, 1000, 0, 0));
    let (state, window) = open(&syn, 0, &settings).unwrap();
    let refusal = whole(tcp(RST | ACK, 0, 1101, 0));
    assert!(step(state, &window, Way::Reply, &refusal).is_ok());
    let (state, window) = open(&whole(tcp(SYN, 1000, 0, 0)), 0, &settings).unwrap();
    assert!(step(state, &window, Way::Reply, &refusal).is_err());

    let answer = whole(tcp(SYN | ACK, 9000, 1001, 0));
    let answered = step(state, &window, Way::Reply, &answer).unwrap();
    // 580 bytes of 4000 lie in the first fragment.
    let data = tcp(ACK, 1001, 9001, 580);
    let acknowledged = whole(tcp(ACK, 9001, 5001, 0));
    for (data, is_ok) in [(first_part(data), true), (whole(data), false)] {
        let sent = step(answered.state, &answered.window, Way::Original, &data).unwrap();
        let reply = step(sent.state, &sent.window, Way::Reply, &acknowledged);
        assert_eq!(reply.is_ok(), is_ok, "{reply:?}");
    }
}
