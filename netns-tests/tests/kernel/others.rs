//! UDP, ICMP and protocols without ports; ICMP errors about all of them.

use crate::{
    ours::{ROUTER, ROUTER6},
    pair::{Pair, check},
};
use packet::build::{self, IpBuilder};
use std::{net::IpAddr, thread, time::Duration};

/// Age from which an answered UDP conversation is a stream (`nf_conntrack_proto_udp.c`), and a bit.
const STREAM: Duration = Duration::from_millis(2_100);
/// Where the IP header begins.
const IP: usize = 14;

impl Pair {
    fn address(&self, end: usize, ipv6: bool) -> IpAddr {
        let guest = &self.guests[end];
        if ipv6 {
            guest.ip6().into()
        } else {
            guest.ip().into()
        }
    }

    /// A packet from one end to the other.
    fn ip(&self, end: usize, ipv6: bool) -> IpBuilder {
        self.ip_from(end, self.address(end, ipv6))
    }

    /// A packet from an end with another source.
    fn ip_from(&self, end: usize, source: IpAddr) -> IpBuilder {
        let [from, to] = [&self.guests[end], &self.guests[1 - end]];
        build::frame(from.mac(), to.mac()).ip(source, self.address(1 - end, source.is_ipv6()))
    }

    fn udp(&self, end: usize, ipv6: bool, number: u16) -> build::UdpBuilder {
        let (src, dst) = if end == 0 { (number, 53) } else { (53, number) };
        self.ip(end, ipv6).udp(src, dst).payload(b"question")
    }

    /// Shows a frame and holds both answers against what is expected.
    #[track_caller]
    fn says(&mut self, end: usize, frame: &[u8], number: u16, expected: &str) {
        let answers = self.show(end, frame, number);
        check(&answers, expected, expected);
    }
}

fn families() -> [bool; 2] {
    [false, true]
}

#[test]
fn udp_is_new_until_it_is_answered_and_a_stream_after_two_seconds() {
    let mut pair = Pair::new();
    for ipv6 in families() {
        let n = pair.next_number();
        let (question, answer) = (pair.udp(0, ipv6, n).build(), pair.udp(1, ipv6, n).build());
        pair.says(0, &question, n, "new");
        pair.says(0, &question, n, "new");
        pair.says(1, &answer, n, "reply");
        pair.says(0, &question, n, "established");
        thread::sleep(STREAM);
        // The timeout that is compared is the stream's from here on.
        pair.says(1, &answer, n, "reply");
        pair.says(0, &question, n, "established");
    }
}

#[test]
fn udp_that_lies_is_invalid() {
    let mut pair = Pair::new();
    for ipv6 in families() {
        let n = pair.next_number();
        for (length, expected) in [
            (7, "invalid -; switch refused -: malformed_by_name"),
            (17, "invalid -; switch refused -: malformed_by_name"),
        ] {
            let lie = pair.udp(0, ipv6, n).length(length).build();
            pair.says(0, &lie, n, expected);
        }
        let wrong = pair.udp(0, ipv6, n).checksum(0x1234).build();
        pair.says(0, &wrong, n, "invalid -");
        let cut = pair.ip(0, ipv6).upper(17, &[0, 1, 0, 2, 0, 8]);
        pair.says(0, &cut, n, "invalid -; switch refused -: malformed_by_name");
    }
}

#[test]
fn udp_without_a_checksum_is_legal_in_both_families() {
    let mut pair = Pair::new();
    for ipv6 in families() {
        let n = pair.next_number();
        let bare = |pair: &Pair, end| pair.udp(end, ipv6, n).checksum(0).build();
        pair.says(0, &bare(&pair, 0), n, "new");
        pair.says(1, &bare(&pair, 1), n, "reply");
        pair.says(0, &bare(&pair, 0), n, "established");
    }
}

/// Request and reply types of ICMP.
const QUERIES: [(u8, u8); 4] = [(8, 0), (13, 14), (15, 16), (17, 18)];

#[test]
fn an_icmp_reply_needs_its_request() {
    let mut pair = Pair::new();
    for (request, reply) in QUERIES {
        let n = pair.next_number();
        let message = |pair: &Pair, end, kind, id| {
            let body = [0; 12];
            pair.ip(end, false)
                .icmp(kind, 0)
                .id(id)
                .payload(&body)
                .build()
        };
        pair.says(1, &message(&pair, 1, reply, n), n, "invalid -");
        pair.says(0, &message(&pair, 0, request, n), n, "new");
        pair.says(0, &message(&pair, 0, request, n), n, "new");
        pair.says(0, &message(&pair, 0, reply, n), n, "invalid");
        pair.says(1, &message(&pair, 1, reply, n), n, "reply");
        pair.says(1, &message(&pair, 1, reply, n), n, "reply");
        pair.says(0, &message(&pair, 0, request, n), n, "established");
        pair.says(
            1,
            &message(&pair, 1, reply, n + 5000),
            n + 5000,
            "invalid -",
        );
    }
}

#[test]
fn an_icmpv6_reply_needs_its_request() {
    let mut pair = Pair::new();
    let n = pair.next_number();
    let echo = |pair: &Pair, end, kind| pair.ip(end, true).icmp(kind, 0).id(n).build();
    pair.says(1, &echo(&pair, 1, 129), n, "invalid -");
    pair.says(0, &echo(&pair, 0, 128), n, "new");
    pair.says(1, &echo(&pair, 1, 129), n, "reply");
    pair.says(0, &echo(&pair, 0, 128), n, "established");
}

#[test]
fn icmp_that_asks_nothing_opens_nothing() {
    let mut pair = Pair::new();
    for kind in [0, 6, 9, 10, 14, 19, 30, 40, 255] {
        let n = pair.next_number();
        let frame = pair.ip(0, false).icmp(kind, 0).id(n).build();
        pair.says(0, &frame, n, "invalid -");
    }
    let n = pair.next_number();
    let wrong = pair.ip(0, false).icmp(8, 0).id(n).checksum(1).build();
    pair.says(0, &wrong, n, "invalid -");
    let cut = pair.ip(0, false).upper(1, &[8, 0, 0, 0]);
    pair.says(0, &cut, n, "invalid -; switch refused -: malformed_by_name");
}

/// Types of errors, with a code that is in use.
fn errors(ipv6: bool) -> &'static [(u8, u8)] {
    if ipv6 {
        &[(1, 4), (2, 0), (3, 0), (4, 1)]
    } else {
        &[(3, 1), (3, 3), (3, 4), (11, 0), (12, 0)]
    }
}

#[test]
fn an_error_about_a_known_connection_is_related_from_its_end_or_a_router() {
    let mut pair = Pair::new();
    for ipv6 in families() {
        let router = if ipv6 { ROUTER6 } else { ROUTER }.parse().unwrap();
        for &(kind, code) in errors(ipv6) {
            let n = pair.next_number();
            let question = pair.udp(0, ipv6, n).build();
            let from_end = pair
                .ip(1, ipv6)
                .icmp(kind, code)
                .quote(&question, 60)
                .build();
            pair.says(1, &from_end, n, "invalid -");
            pair.says(0, &question, n, "new");
            pair.says(1, &from_end, n, "related");
            let quote = if ipv6 { 48 } else { 28 };
            let from_router = pair
                .ip_from(1, router)
                .icmp(kind, code)
                .quote(&question, quote)
                .build();
            pair.says(1, &from_router, n, "related");
            // It is no answer: the connection stays as it was.
            pair.says(0, &question, n, "new");
        }
    }
}

#[test]
fn an_error_about_a_reply_is_related_too() {
    let mut pair = Pair::new();
    for ipv6 in families() {
        let (kind, code) = errors(ipv6)[1];
        let n = pair.next_number();
        let (question, answer) = (pair.udp(0, ipv6, n).build(), pair.udp(1, ipv6, n).build());
        pair.says(0, &question, n, "new");
        let about =
            |pair: &Pair, what: &[u8]| pair.ip(0, ipv6).icmp(kind, code).quote(what, 60).build();
        // Before it was said, and after; the entry tells no difference.
        let early = about(&pair, &answer);
        pair.says(0, &early, n, "related");
        pair.says(1, &answer, n, "reply");
        let late = about(&pair, &answer);
        pair.says(0, &late, n, "related");
        // Of its own question the asker has nothing to complain.
        let own = about(&pair, &question);
        pair.says(0, &own, n, "invalid");
    }
}

#[test]
fn an_error_whose_quote_is_of_nothing_known_is_invalid() {
    let mut pair = Pair::new();
    for ipv6 in families() {
        let (kind, code) = errors(ipv6)[1];
        let n = pair.next_number();
        let question = pair.udp(0, ipv6, n).build();
        pair.says(0, &question, n, "new");
        let error = |pair: &Pair, quoted: &[u8], len| {
            pair.ip(1, ipv6).icmp(kind, code).quote(quoted, len).build()
        };
        let other = pair.udp(0, ipv6, n + 5000).build();
        pair.says(1, &error(&pair, &other, 60), n, "invalid");
        let header = if ipv6 { 40 } else { 20 };
        // Cut short within the quoted ports, behind the header, and within it.
        for len in [header + 3, header, header - 5, 0] {
            let frame = error(&pair, &question, len);
            let answers = pair.show(1, &frame, n);
            let [kernel, ours] = answers.map(|answer| answer.judged.word());
            assert!(
                kernel == "invalid" && (ours == "invalid" || ours == "refused"),
                "{len}: kernel {kernel}, switch {ours}"
            );
        }
        let mut wrong = error(&pair, &question, 60);
        let last = wrong.len() - 1;
        wrong[last] ^= 1;
        pair.says(1, &wrong, n, "invalid");
    }
}

#[test]
fn an_error_to_somebody_whom_it_does_not_concern_is_invalid() {
    let mut pair = Pair::new();
    let n = pair.next_number();
    let question = pair.udp(0, false, n).build();
    pair.says(0, &question, n, "new");
    // The quoted packet is the asker's; the answerer is told of it.
    let astray = pair.ip(0, false).icmp(3, 3).quote(&question, 28).build();
    pair.says(0, &astray, n, "invalid");
    // Quoted from an address that is not the receiver's.
    let mut forged = question[IP..].to_vec();
    forged[15] = 77;
    let frame = [&question[..IP], &forged].concat();
    let error = pair.ip(1, false).icmp(3, 3).quote(&frame, 28).build();
    pair.says(1, &error, n, "invalid");
}

#[test]
fn redirects_and_source_quenches() {
    let mut pair = Pair::new();
    for (kind, expected) in [(4, "related"), (5, "related; switch new: redirect")] {
        let n = pair.next_number();
        let question = pair.udp(0, false, n).build();
        pair.says(0, &question, n, "new");
        let frame = pair.ip(1, false).icmp(kind, 1).quote(&question, 28).build();
        pair.says(1, &frame, n, expected);
    }
}

#[test]
fn an_error_about_tcp_leaves_its_state_alone() {
    let mut pair = Pair::new();
    for ipv6 in families() {
        let mut talk = pair.talk(ipv6);
        let n = talk.number;
        let syn = talk.frame(0, &crate::segment::Segment::parse("syn"));
        pair.says(0, &syn, n, "new SYN_SENT");
        let (kind, code) = errors(ipv6)[1];
        let error = pair.ip(1, ipv6).icmp(kind, code).quote(&syn, 60).build();
        pair.says(1, &error, n, "related SYN_SENT");
        pair.play_on(
            &mut talk,
            "
            b syn,ack | reply SYN_RECV
            a ack | established ESTABLISHED
            ",
        );
        pair.says(1, &error, n, "related ESTABLISHED");
    }
}

#[test]
fn a_protocol_without_ports_is_tracked_by_its_addresses() {
    let mut pair = Pair::new();
    // No entry has this number: it is found by nothing but the two addresses.
    let n = u16::MAX;
    for ipv6 in families() {
        for protocol in [50, 112, 253] {
            pair.switch.forget(n);
            let [there, back] = [0, 1].map(|end| pair.ip(end, ipv6).upper(protocol, &[7; 20]));
            pair.says(0, &there, n, "new -");
            pair.says(0, &there, n, "new -");
            pair.says(1, &back, n, "reply -");
            pair.says(0, &there, n, "established -");
        }
    }
}

#[test]
fn an_ip_header_that_lies_is_refused_before_it_is_tracked() {
    let mut pair = Pair::new();
    let n = pair.next_number();
    let lies = [
        pair.ip(0, false).header_words(4).udp(n, 53).build(),
        pair.ip(0, false).header_words(15).udp(n, 53).build(),
        pair.ip(0, false).length(19).udp(n, 53).build(),
        pair.ip(0, false).length(900).udp(n, 53).build(),
        pair.ip(0, false).version(5).udp(n, 53).build(),
        pair.ip(0, true).length(900).udp(n, 53).build(),
    ];
    for lie in lies {
        pair.says(0, &lie, n, "refused -");
    }
    let wrong = pair.ip(0, false).header_checksum(0x1234).udp(n, 53).build();
    pair.says(
        0,
        &wrong,
        n,
        "refused -; switch invalid -: ip_checksum_by_name",
    );
}
