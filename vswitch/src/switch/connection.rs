//! Judging: by connection where there is state, by rules alone where there is none.

use super::alone::is_dhcp;
use super::denied::{self, Asked};
use super::entry::Address;
use super::step::{Fate, Judged, Step, Tracked, verdicts};
use super::watch::{Observer, Silent, Stage};
use super::{Frame, Now, Port, Switch};
use packet::{
    Basis, Direction, Ethernet, FiveTuple, Headers, Ip, L4, Mac, Reason, Verdict, protocol,
};
use secgroup::conntrack::{self, Conn, Key, Settings, Side, Slot, Way};
use secgroup::{Flow, FlowService, RuleRef};
use std::net::IpAddr;

impl Switch {
    /// Whether a packet between these two is judged by connection state: it is IP that is tracked at
    /// all, and one side is a port with stateful groups.
    #[inline]
    pub(super) fn is_tracked(&self, sender: &Port, receiver: &Port, headers: &Headers) -> bool {
        (sender.stateful || receiver.stateful)
            && !secgroup::untracked(headers)
            && !is_dhcp(headers)
            && !receiver.is_broadcast(headers)
    }

    /// A packet of a connection, or one that may open one. `None`: its addresses are of two families.
    #[inline]
    pub(super) fn track_any(
        &self,
        now: Now,
        ports: (&Port, &Port),
        frame: &Frame<'_>,
        ip: &Ip,
        watch: &mut impl Observer,
    ) -> Option<Step> {
        match (ip.src, ip.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let ends = (src.octets(), dst.octets());
                Some(self.track(now, ports, frame, ip, ends, watch))
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let ends = (src.octets(), dst.octets());
                Some(self.track(now, ports, frame, ip, ends, watch))
            }
            _ => None,
        }
    }

    #[inline]
    fn track<A: Address>(
        &self,
        now: Now,
        (sender, receiver): (&Port, &Port),
        frame: &Frame<'_>,
        ip: &Ip,
        (src, dst): (A, A),
        watch: &mut impl Observer,
    ) -> Step {
        if !frame.headers.ordinary
            && let Some(step) = self.no_connection(now, (sender, receiver), frame, ip, watch)
        {
            return step;
        }
        let Some(ends) = conntrack::ends(ip) else {
            return Step::refused(sender, Some(receiver), Reason::Malformed);
        };
        let (key, swapped) = Key::new(
            (src, ends.0, sender.number()),
            (dst, ends.1, receiver.number()),
        );
        let table = A::table(&self.tables);
        let hash = table.hash(&key, ip.protocol);
        let found = table.find(hash, &key, ip.protocol);
        match found {
            Some(slot) if !table.entry(slot).conn.is_expired(now.ms) => self.follow::<A>(
                now,
                (sender, receiver),
                frame,
                ip,
                (hash, slot, swapped),
                watch,
            ),
            expired => {
                let asked = Asked {
                    key,
                    swapped,
                    protocol: ip.protocol,
                    macs: [frame.headers.eth.src, frame.headers.eth.dst],
                };
                let found = (asked, hash, expired);
                self.open(now, (sender, receiver), frame, ip, found, watch)
            }
        }
    }

    /// The sender's side of unknown unicast, which has as many connections as receivers: what one copy may
    /// leave by, it leaves by. So an answer passes without a rule also where the asker's MAC has aged out
    /// meanwhile, and what is valid towards no receiver is refused where it is sent. `None`: rules alone
    /// decide.
    ///
    /// Room is looked for once, for it is the sender's and the table's: behind a search in vain only what
    /// has a connection already is asked, and what would arrive nowhere does not leave.
    #[cold]
    pub(super) fn side_towards_unknown(
        &self,
        now: Now,
        sender: &Port,
        frame: &Frame<'_>,
    ) -> Option<(Judged, Tracked)> {
        let ip = frame.headers.ip().filter(|_| sender.filters())?;
        if ip.fragment.is_some_and(|part| part.offset > 0) {
            return None;
        }
        let (mut refused, mut refused_there) = (None, None);
        let mut has_room = true;
        for to in self
            .fdb
            .copies(sender.config.segment, sender.number(), true)
        {
            let receiver = self.port(to)?;
            if !self.is_tracked(sender, receiver, &frame.headers) {
                return None;
            }
            let ports = (sender, receiver);
            if !has_room && !self.is_known(ports, ip) {
                continue;
            }
            let step = self.track_any(now, ports, frame, ip, &mut Silent)?;
            has_room &= !matches!(step.tracked, Tracked::NoRoom);
            let egress = step.egress?;
            match (egress.verdict.is_accept(), step.is_accept()) {
                (true, true) => return Some((egress, Tracked::No)),
                (true, false) => refused_there = refused_there.or(Some(egress)),
                (false, _) => refused = refused.or(Some(egress)),
            }
        }
        if has_room {
            Some((refused_there.or(refused)?, Tracked::No))
        } else {
            Some((refused?, Tracked::NoRoom))
        }
    }

    /// Whether there is an entry of a packet's tuple between two ports, live or over.
    #[cold]
    fn is_known(&self, ports: (&Port, &Port), ip: &Ip) -> bool {
        match (ip.src, ip.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                self.has_entry(ports, ip, (src.octets(), dst.octets()))
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                self.has_entry(ports, ip, (src.octets(), dst.octets()))
            }
            _ => false,
        }
    }

    fn has_entry<A: Address>(
        &self,
        (sender, receiver): (&Port, &Port),
        ip: &Ip,
        (src, dst): (A, A),
    ) -> bool {
        let Some(ends) = conntrack::ends(ip) else {
            return false;
        };
        let (key, _) = Key::new(
            (src, ends.0, sender.number()),
            (dst, ends.1, receiver.number()),
        );
        let table = A::table(&self.tables);
        let hash = table.hash(&key, ip.protocol);
        table.find(hash, &key, ip.protocol).is_some()
    }

    /// What is refused before any connection is looked for, and errors, which are about another one.
    #[cold]
    fn no_connection(
        &self,
        now: Now,
        (sender, receiver): (&Port, &Port),
        frame: &Frame<'_>,
        ip: &Ip,
        watch: &mut impl Observer,
    ) -> Option<Step> {
        if frame.headers.defect.is_some() {
            // From a sender that filters it would not have been admitted.
            let reason = receiver.accepts_frame(frame).err();
            let reason = reason.unwrap_or(Reason::Malformed);
            Some(Step::refused(sender, Some(receiver), reason))
        } else if frame.headers.bad_checksum {
            let invalid = conntrack::Invalid("checksum is wrong");
            Some(Self::invalid(sender, receiver, invalid, watch))
        } else if packet::is_error(ip) {
            Some(self.related(now, sender, receiver, frame, ip, watch))
        } else {
            None
        }
    }

    /// A packet of a known connection.
    #[inline]
    fn follow<A: Address>(
        &self,
        now: Now,
        (sender, receiver): (&Port, &Port),
        frame: &Frame<'_>,
        ip: &Ip,
        (hash, slot, swapped): (u64, Slot, bool),
        watch: &mut impl Observer,
    ) -> Step {
        let (entry, window) = A::table(&self.tables).pair(slot);
        let conn = &entry.conn;
        let way = conn.way(swapped);
        let stale = conn.policy_epoch != self.policy_epoch;
        watch.see(|| Stage::Connection {
            protocol: ip.protocol,
            state: conn.state(),
            way,
            judged_again: stale,
        });
        let open_instead = |watch| {
            let asked = Asked {
                key: conn.key,
                swapped,
                protocol: ip.protocol,
                macs: [frame.headers.eth.src, frame.headers.eth.dst],
            };
            let found = (asked, hash, Some(slot));
            self.open(now, (sender, receiver), frame, ip, found, watch)
        };
        let settings = self.settings_between(sender, receiver);
        let advance = match conntrack::advance(conn.state(), window, way, ip, now.ms, settings) {
            Ok(advance) if advance.reopens => return open_instead(watch),
            Ok(advance) => advance,
            // The guest that answered another copy has moved here: its connection is not this one.
            Err(_) if conn.is_tentative() => return open_instead(watch),
            Err(invalid) => {
                let step = Self::invalid(sender, receiver, invalid, watch);
                let is_revoked = |sides: [Side; 2]| sides.iter().any(|side| !side.is_accept());
                let ends = stale && is_revoked(self.judge_again(conn, way, &frame.headers.eth));
                let tracked = if ends {
                    Tracked::Ends { slot }
                } else {
                    Tracked::No
                };
                return Step { tracked, ..step };
            }
        };
        let sides = if stale {
            self.judge_again(conn, way, &frame.headers.eth)
        } else {
            conn.sides
        };
        let judged = verdicts(sides, way);
        let (egress, ingress) = if sender.is_stateful_or_open() && receiver.is_stateful_or_open() {
            judged
        } else {
            self.said_without_state((sender, receiver), frame, sides, way, |judged| judged)
        };
        let mut step = Step {
            egress,
            ingress,
            tracked: Tracked::Known {
                slot,
                way,
                sides,
                advance,
                as_judged: true,
            },
            ..Step::new(Fate::Nowhere)
        };
        if step.is_accept() {
            let taken = if sender.filters() {
                // Its form was looked at when it was admitted; its size and address are the receiver's.
                receiver.accepts_admitted(frame)
            } else {
                receiver.accepts_frame(frame)
            };
            if let Err(reason) = taken {
                step.ingress = Some(Judged::refused(reason));
            }
        }
        if let Tracked::Known { as_judged, .. } = &mut step.tracked {
            *as_judged = (step.egress, step.ingress) == judged;
        }
        step
    }

    /// How a connection between two ports is tracked: a port's own `tcp_be_liberal` stands in place of the
    /// general one; where both have one, the strict holds.
    #[inline]
    fn settings_between(&self, sender: &Port, receiver: &Port) -> &Settings {
        let own = [sender, receiver].map(|port| port.config.tcp_be_liberal);
        match own.into_iter().flatten().min() {
            Some(own) if own != self.settings.tcp_be_liberal => &self.other_settings,
            _ => &self.settings,
        }
    }

    /// A packet without a connection: rules decide on both sides, the sender's first.
    fn open<A: Address>(
        &self,
        now: Now,
        (sender, receiver): (&Port, &Port),
        frame: &Frame<'_>,
        ip: &Ip,
        (asked, hash, replaces): (Asked<A>, u64, Option<Slot>),
        watch: &mut impl Observer,
    ) -> Step {
        let (state, window) = match conntrack::open(ip, now.ms, &self.settings) {
            Ok(opened) => opened,
            Err(invalid) => return Self::invalid(sender, receiver, invalid, watch),
        };
        watch.see(|| Stage::Opens {
            protocol: ip.protocol,
            state,
        });
        let mut step = match self.denied_lately(receiver, frame, &asked, hash) {
            Some(step) => {
                debug_assert_eq!(
                    (step.egress, step.ingress),
                    {
                        let now = Self::judge_alone(&self.members, sender, Some(receiver), frame);
                        (now.egress, now.ingress)
                    },
                    "rules say what they said"
                );
                return step;
            }
            None => Self::judge_alone(&self.members, sender, Some(receiver), frame),
        };
        if !step.is_accept() {
            if denied::is_by_rule(&step, &frame.headers) {
                step.tracked = Tracked::Denied { hash };
            }
            return step;
        }
        step.tracked = match self.room::<A>(sender, replaces) {
            Some(room) => Tracked::Opens {
                hash,
                room,
                state,
                window,
            },
            None => {
                watch.see(|| Stage::TableFull);
                return Step {
                    egress: Some(Judged::refused(Reason::CtFull)),
                    tracked: Tracked::NoRoom,
                    ..Step::new(Fate::Nowhere)
                };
            }
        };
        step
    }

    /// What the rules said to the same question before, if they refused it and the receiver takes a frame of
    /// this size and form.
    #[inline]
    fn denied_lately<A: Address>(
        &self,
        receiver: &Port,
        frame: &Frame<'_>,
        asked: &Asked<A>,
        hash: u64,
    ) -> Option<Step> {
        let denied = A::denied(&self.denied);
        let step = denied.recall(hash, asked, self.policy_epoch)?;
        receiver.accepts_frame(frame).is_ok().then_some(step)
    }

    #[cold]
    fn invalid(
        sender: &Port,
        receiver: &Port,
        why: conntrack::Invalid,
        watch: &mut impl Observer,
    ) -> Step {
        watch.see(|| Stage::Invalid { why });
        Step::refused(sender, Some(receiver), Reason::CtInvalid)
    }

    /// An ICMP error passes without a rule if it quotes a packet of an allowed connection **from its
    /// receiver**; it neither refreshes nor changes that connection (RFC 5927; Linux
    /// `nf_conntrack_inet_error`). The outer source may be any router.
    fn related(
        &self,
        now: Now,
        sender: &Port,
        receiver: &Port,
        frame: &Frame<'_>,
        ip: &Ip,
        watch: &mut impl Observer,
    ) -> Step {
        let Ok(quoted) = packet::quoted(frame.bytes, ip) else {
            return Step::refused(sender, Some(receiver), Reason::Malformed);
        };
        let unknown = conntrack::Invalid("error about no known connection");
        if quoted.tuple.src != ip.dst || quoted.fragment_offset > 0 {
            return Self::invalid(sender, receiver, unknown, watch);
        }
        let eth = &frame.headers.eth;
        let found = match (quoted.tuple.src, quoted.tuple.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let ends = (src.octets(), dst.octets());
                self.quoted_connection(now, sender, receiver, eth, &quoted, ends)
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let ends = (src.octets(), dst.octets());
                self.quoted_connection(now, sender, receiver, eth, &quoted, ends)
            }
            _ => None,
        };
        let Some((sides, way)) = found else {
            return Self::invalid(sender, receiver, unknown, watch);
        };
        watch.see(|| Stage::Related);
        let related = |judged: Judged| match judged.verdict {
            Verdict::Accept(Basis::Unfiltered) | Verdict::Drop(_) => judged,
            Verdict::Accept(_) => Judged {
                verdict: Verdict::Accept(Basis::Related),
                rule: judged.rule,
            },
        };
        let (egress, ingress) = if sender.is_stateful_or_open() && receiver.is_stateful_or_open() {
            let (egress, ingress) = verdicts(sides, way);
            (egress.map(related), ingress.map(related))
        } else {
            self.said_without_state((sender, receiver), frame, sides, way, related)
        };
        Step {
            egress,
            ingress,
            ..Step::new(Fate::Nowhere)
        }
        .taken_by(Some(receiver), frame)
    }

    /// What the sides of the quoted packet's connection say, and the way of a packet **against** it.
    fn quoted_connection<A: Address>(
        &self,
        now: Now,
        sender: &Port,
        receiver: &Port,
        eth: &Ethernet,
        quoted: &packet::Quoted,
        (src, dst): (A, A),
    ) -> Option<([Side; 2], Way)> {
        let ends = conntrack::ends(&quoted_ip(quoted))?;
        let (key, swapped) = Key::new(
            (src, ends.0, receiver.number()),
            (dst, ends.1, sender.number()),
        );
        let table = A::table(&self.tables);
        let protocol = quoted.tuple.protocol;
        let slot = table.find(table.hash(&key, protocol), &key, protocol)?;
        let conn = &table.entry(slot).conn;
        if conn.is_expired(now.ms) {
            return None;
        }
        let way = conn.way(swapped).opposite();
        let sides = if conn.policy_epoch == self.policy_epoch {
            conn.sides
        } else {
            self.judge_again(conn, way, eth)
        };
        Some((sides, way))
    }

    /// Both sides of a connection under the present policy, from its **original** direction; a side
    /// whose rule is gone is `revoked`. `eth` is of a packet that goes `way`: the entry remembers no MAC.
    #[cold]
    fn judge_again<A: Address>(&self, conn: &Conn<A>, way: Way, eth: &Ethernet) -> [Side; 2] {
        // What was revoked before, and what a copy of a flood left open, is judged all the same.
        let stands = conn.sides.iter().all(|side| side.is_accept());
        if self.persist_established && !conn.state().is_unreplied() && stands {
            return conn.sides;
        }
        let from = conn.originator();
        let to = 1 - from;
        let [opener_mac, other_mac] = match way {
            Way::Original => [eth.src, eth.dst],
            Way::Reply => [eth.dst, eth.src],
        };
        let service = service_of(conn);
        let side = |direction, mine: usize, other: usize, remote_mac: Mac| {
            let Some(port) = self.port(conn.key.port[mine]) else {
                return Judged::refused(Reason::Revoked).side();
            };
            // A guest that lost its address keeps no connection it opened from it.
            let opened_it = direction == Direction::Egress;
            if opened_it && port.filters() && !port.guard.owns(conn.key.addr[mine].ip()) {
                return Judged::refused(Reason::Revoked).side();
            }
            let flow = Flow {
                vpc: port.config.spec.vpc,
                protocol: conn.protocol,
                service,
                remote: conn.key.addr[other].ip(),
                remote_mac,
            };
            match port.judge_flow(&self.members, direction, &flow) {
                judged if judged.verdict.is_accept() => judged.side(),
                _ => Judged::refused(Reason::Revoked).side(),
            }
        };
        [
            side(Direction::Egress, from, to, other_mac),
            side(Direction::Ingress, to, from, opener_mac),
        ]
    }

    /// What sender and receiver say of a packet that goes `way` in a connection where one of them has stateless
    /// groups: it knows of no connection and asks its rules, whichever way the packet goes. `as_now` gives an
    /// acceptance by connection its name.
    #[cold]
    fn said_without_state(
        &self,
        (sender, receiver): (&Port, &Port),
        frame: &Frame<'_>,
        mut sides: [Side; 2],
        way: Way,
        as_now: impl Fn(Judged) -> Judged,
    ) -> (Option<Judged>, Option<Judged>) {
        let alone = |port: &Port, direction| {
            (!port.is_stateful_or_open())
                .then(|| port.side(&self.members, direction, frame, sender))
        };
        let own_egress = alone(sender, Direction::Egress);
        if own_egress.is_some() {
            // What the connection says at this port counts for nothing, so that the other side is heard.
            let open = Verdict::Accept(Basis::Unfiltered);
            sides[way as usize] = Side::new(open, RuleRef::NONE);
        }
        let (egress, ingress) = verdicts(sides, way);
        let egress = own_egress.or(egress.map(&as_now));
        if egress.is_some_and(|judged| !judged.verdict.is_accept()) {
            return (egress, None);
        }
        let ingress = alone(receiver, Direction::Ingress).or(ingress.map(&as_now));
        (egress, ingress)
    }
}

/// What the first packet of a connection asked for.
fn service_of<A: Address>(conn: &Conn<A>) -> FlowService {
    let (from, to) = (conn.originator(), 1 - conn.originator());
    match conn.protocol {
        protocol::TCP | protocol::UDP | protocol::SCTP | protocol::DCCP | protocol::UDPLITE => {
            FlowService::Ports {
                src: conn.key.l4[from],
                dst: conn.key.l4[to],
            }
        }
        protocol::ICMP | protocol::ICMPV6 => match conntrack::asked(conn.key.l4) {
            Some((kind, _)) => FlowService::Icmp { kind, code: 0 },
            None => FlowService::None,
        },
        _ => FlowService::None,
    }
}

/// The quoted packet as far as a connection's key needs it.
fn quoted_ip(quoted: &packet::Quoted) -> Ip {
    let FiveTuple {
        protocol,
        src,
        dst,
        src_port,
        dst_port,
    } = quoted.tuple;
    let l4 = match quoted.icmp {
        Some(icmp) => L4::Icmp(icmp),
        None if src_port == 0 && dst_port == 0 => L4::Opaque,
        None => L4::Ports { src_port, dst_port },
    };
    Ip {
        src,
        dst,
        protocol,
        hop_limit: 0,
        fragment: None,
        l4,
        l4_offset: 0,
        end: 0,
    }
}
