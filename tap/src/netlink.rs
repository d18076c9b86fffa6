//! As much rtnetlink (RFC 3549, `linux/rtnetlink.h`) as [`crate::link`] needs: build one request,
//! read its one answer. Netlink is in host byte order; attributes are padded to four bytes.

use rustix::{
    fd::OwnedFd,
    io::{Errno, Result},
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::SocketAddrNetlink,
    },
};

/// `struct nlmsghdr`.
const HEADER_LEN: usize = 16;
/// `struct rtattr`.
const ATTR_LEN: usize = 4;
/// `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER` are no part of an attribute's kind.
const KIND_MASK: u16 = 0x3fff;
/// The longest answer that is read; one interface with statistics takes below 4 KiB.
const ANSWER_MAX: usize = 64 * 1024;

/// One request.
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// A request of `kind` (`RTM_…`) with `flags` (`NLM_F_…`) and its fixed part.
    pub(crate) fn new(kind: u16, flags: libc::c_int, fixed: &[u8]) -> Self {
        let flags = (flags | libc::NLM_F_REQUEST) as u16;
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&0u32.to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(fixed);
        Self(bytes)
    }

    /// Adds an attribute.
    pub(crate) fn attr(mut self, kind: u16, value: &[u8]) -> Self {
        let len =
            u16::try_from(ATTR_LEN + value.len()).expect("attributes are built here and short");
        self.0.extend_from_slice(&len.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Adds a name as the kernel wants it, with its NUL.
    pub(crate) fn name(self, kind: u16, name: &str) -> Self {
        let mut bytes = name.as_bytes().to_vec();
        bytes.push(0);
        self.attr(kind, &bytes)
    }

    fn finish(mut self, sequence: u32) -> Vec<u8> {
        let len = u32::try_from(self.0.len()).expect("requests are built here and short");
        self.0[..4].copy_from_slice(&len.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }
}

/// A routing socket. It belongs to the namespace of the thread that opened it, for ever.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    pub(crate) fn open() -> Result<Self> {
        // NETLINK_ROUTE is protocol 0, the default of the family.
        let fd = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok(Self { fd, sequence: 0 })
    }

    /// Sends a request and waits for its acknowledgement.
    pub(crate) fn change(&mut self, request: Request) -> Result<()> {
        self.exchange(request).map(|_| ())
    }

    /// Sends a request and returns the body of its answer; empty for an acknowledgement. The
    /// kernel answers within the send, so that this does not block.
    pub(crate) fn exchange(&mut self, request: Request) -> Result<Vec<u8>> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = request.finish(self.sequence);
        rustix::net::sendto(
            &self.fd,
            &request,
            SendFlags::empty(),
            &SocketAddrNetlink::new(0, 0),
        )?;
        loop {
            let mut answer = vec![0; ANSWER_MAX];
            let (len, _) = rustix::io::retry_on_intr(|| {
                rustix::net::recv(&self.fd, answer.as_mut_slice(), RecvFlags::empty())
            })?;
            answer.truncate(len);
            if let Some(result) = read_answer(&answer, self.sequence) {
                return result;
            }
        }
    }
}

/// The answer to `sequence`, or `None` for a message that belongs to an earlier request.
fn read_answer(bytes: &[u8], sequence: u32) -> Option<Result<Vec<u8>>> {
    let (Some(kind), Some(got)) = (u16_at(bytes, 4), u32_at(bytes, 8)) else {
        return Some(Err(Errno::BADMSG));
    };
    if got != sequence {
        return None;
    }
    let len = u32_at(bytes, 0)
        .map_or(0, |len| len as usize)
        .clamp(HEADER_LEN, bytes.len());
    let body = bytes.get(HEADER_LEN..len).unwrap_or_default();
    if i32::from(kind) != libc::NLMSG_ERROR {
        return Some(Ok(body.to_vec()));
    }
    let code = u32_at(body, 0).map_or(-libc::EBADMSG, |code| code as i32);
    Some(if code == 0 {
        Ok(Vec::new())
    } else {
        Err(Errno::from_raw_os_error(code.wrapping_neg()))
    })
}

/// Walks the attributes in `bytes`; stops at the first that lies about its length.
pub(crate) fn attrs(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & KIND_MASK;
        let value = bytes.get(ATTR_LEN..len)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_round_trip_and_a_lying_length_ends_the_walk() {
        let request = Request::new(16, 0, &[])
            .attr(1, b"abc")
            .name(2, "vm1")
            .finish(7);
        let got: Vec<_> = attrs(&request[HEADER_LEN..]).collect();
        assert_eq!(got, [(1, &b"abc"[..]), (2, b"vm1\0")]);
        assert_eq!(attrs(&[3, 0, 1, 0, 9]).count(), 0);
        assert_eq!(attrs(&[200, 0, 1, 0, 9]).count(), 0);
        assert_eq!(attrs(&[0; 8]).count(), 0);
    }

    #[test]
    fn an_answer_to_another_request_is_passed_over() {
        let answer = Request::new(2, 0, &0u32.to_ne_bytes()).finish(4);
        assert!(read_answer(&answer, 5).is_none());
        assert_eq!(read_answer(&answer, 4), Some(Ok(vec![])));
        let refusal = Request::new(2, 0, &(-1i32).to_ne_bytes()).finish(4);
        assert_eq!(read_answer(&refusal, 4), Some(Err(Errno::PERM)));
        assert_eq!(read_answer(&[], 4), Some(Err(Errno::BADMSG)));
    }
}
