//! A TCP conversation, segment by segment, with right sequence numbers.

use crate::laboratory::Lab;

/// Two ends and what each has sent.
#[derive(Debug, Clone)]
pub(crate) struct Talk {
    names: [String; 2],
    addresses: [String; 2],
    seq: [u32; 2],
    /// Options of both SYNs, such as `wscale=14`.
    pub(crate) options: &'static str,
}

impl Talk {
    /// Between two guests and ports; `A` or `A6`. The client first.
    pub(crate) fn new(client: (&str, u16), server: (&str, u16)) -> Self {
        let name = |end: &str| end.trim_end_matches('6').to_owned();
        Self {
            names: [name(client.0), name(server.0)],
            addresses: [client, server].map(|(address, port)| format!("{address}:{port}")),
            seq: [1000, 500_000],
            options: "",
        }
    }

    pub(crate) fn starting_at(mut self, seq: u32) -> Self {
        self.seq[0] = seq;
        self
    }

    /// The name of an end and the text of its segment; `flags` with what else is to stand there.
    pub(crate) fn segment(&self, end: usize, flags: &str) -> (String, String) {
        let [from, to] = [&self.addresses[end], &self.addresses[1 - end]];
        let (seq, ack) = (self.seq[end], self.seq[1 - end]);
        (
            self.names[end].clone(),
            format!("tcp {from} > {to} {flags} seq={seq} ack={ack}"),
        )
    }

    /// An end has sent so many bytes (SYN and FIN are one).
    pub(crate) fn sent(&mut self, end: usize, bytes: u32) {
        self.seq[end] = self.seq[end].wrapping_add(bytes);
    }

    /// An end sends, and expects a fate.
    #[track_caller]
    pub(crate) fn says(&mut self, lab: &mut Lab, end: usize, flags: &str, len: u16, fate: &str) {
        let (from, text) = self.segment(end, flags);
        lab.sees(&from, &format!("{text} len={len}"), fate);
        let counts = flags.contains("syn") || flags.contains("fin");
        self.sent(end, u32::from(len) + u32::from(counts));
    }

    /// As [`Self::says`], where both sides accept by rule or as a reply.
    #[track_caller]
    pub(crate) fn passes(&mut self, lab: &mut Lab, end: usize, flags: &str, len: u16) {
        let [from, to] = [&self.names[end], &self.names[1 - end]];
        let why = ["rule", "reply"][end];
        self.says(lab, end, flags, len, &format!("{from}> {why}, >{to} {why}"));
    }

    /// Three segments, after which the connection stands.
    #[track_caller]
    pub(crate) fn opens(client: (&str, u16), server: (&str, u16), lab: &mut Lab) -> Self {
        let mut talk = Self::new(client, server);
        talk.handshake(lab);
        talk
    }

    /// SYN, SYN|ACK, ACK.
    #[track_caller]
    pub(crate) fn handshake(&mut self, lab: &mut Lab) {
        self.passes(lab, 0, &format!("syn {}", self.options), 0);
        self.passes(lab, 1, &format!("syn,ack {}", self.options), 0);
        self.passes(lab, 0, "ack", 0);
    }

    /// Four segments: both ends close, the client first.
    #[track_caller]
    pub(crate) fn closes(&mut self, lab: &mut Lab) {
        self.passes(lab, 0, "fin,ack", 0);
        self.passes(lab, 1, "ack", 0);
        self.passes(lab, 1, "fin,ack", 0);
        self.passes(lab, 0, "ack", 0);
    }
}
