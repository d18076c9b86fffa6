//! Raw frames on an interface by `AF_PACKET` (packet(7)): how a test or a measurement stands in for
//! a guest's kernel, and sees what that kernel sees.

use crate::{Netns, error::Error, link::Links};
use packet::{Offload, VNET_HDR_LEN};
use rustix::{
    fd::{AsFd, AsRawFd, OwnedFd},
    io::{self, Errno, IoSlice},
    net::{
        AddressFamily, MMsgHdr, Protocol, RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags,
        SocketType,
        addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque},
        sockopt::{self, Timeout},
    },
};
use std::time::Duration;

const NET_RAW: &str = "CAP_NET_RAW";
/// Receive buffer, bytes: half a second of full-sized segments at several Gbit/s.
const RECEIVE_BUFFER: usize = 256 << 20;

/// What a [`PacketSocket`] is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketMode {
    /// Sends only; nothing queues up.
    Send,
    /// Sends, and receives every frame that crosses the interface in either direction.
    Both,
    /// Receives as [`PacketMode::Both`], and tells of each frame what its sender left to the device.
    Offload,
}

/// A raw socket on one interface.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    mode: PacketMode,
}

impl PacketSocket {
    /// Opens the socket on the interface `name` of `netns`, or of the calling thread's namespace.
    ///
    /// # Errors
    /// [`Error::NoSuchNetns`], [`Error::NoSuchLink`], [`Error::Permission`]; otherwise what the
    /// kernel says.
    pub fn open(netns: Option<&Netns>, name: &str, mode: PacketMode) -> Result<Self, Error> {
        let index = Links::open(netns)?.get(name)?.index;
        let open = || Self::open_here(index, mode);
        match netns {
            Some(netns) => netns.run_in(open)?,
            None => open(),
        }
        .map_err(|errno| Error::of(format!("open a raw socket on {name}"), NET_RAW, errno))
    }

    fn open_here(index: u32, mode: PacketMode) -> io::Result<Self> {
        // Protocol 0 receives nothing until bound to one, so no frame of another interface slips in.
        let fd = rustix::net::socket_with(
            AddressFamily::PACKET,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None::<Protocol>,
        )?;
        if mode == PacketMode::Offload {
            want_virtio_header(&fd)?;
        }
        if mode != PacketMode::Send {
            sockopt::set_socket_recv_buffer_size_force(&fd, RECEIVE_BUFFER)?;
        }
        let protocol = match mode {
            PacketMode::Send => 0,
            PacketMode::Both | PacketMode::Offload => (libc::ETH_P_ALL as u16).to_be(),
        };
        rustix::net::bind(&fd, &Address { index, protocol })?;
        Ok(Self { fd, mode })
    }

    /// How long [`PacketSocket::recv`] waits; `None` is for ever, which is the default.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> std::io::Result<()> {
        Ok(sockopt::set_socket_timeout(
            &self.fd,
            Timeout::Recv,
            timeout,
        )?)
    }

    /// Sends one frame as the interface's own kernel would.
    ///
    /// # Errors
    /// What the kernel says; `ENOBUFS` where the interface's queue has no room, `ENETDOWN`.
    pub fn send(&self, frame: &[u8]) -> std::io::Result<()> {
        let no_header = [0; VNET_HDR_LEN];
        let header = match self.mode {
            PacketMode::Offload => &no_header[..],
            PacketMode::Send | PacketMode::Both => &[],
        };
        let parts = [IoSlice::new(header), IoSlice::new(frame)];
        let mut none = SendAncillaryBuffer::default();
        rustix::net::sendmsg(&self.fd, &parts, &mut none, SendFlags::empty())?;
        Ok(())
    }

    /// Sends `frame` `times` times with one call (`sendmmsg`, at most 1024), returns how often it
    /// went. Only for [`PacketMode::Send`] and [`PacketMode::Both`].
    ///
    /// # Errors
    /// As [`PacketSocket::send`], where not even the first went.
    pub fn send_repeatedly(&self, frame: &[u8], times: usize) -> std::io::Result<usize> {
        let part = [IoSlice::new(frame)];
        let mut buffers: Vec<_> = (0..times).map(|_| SendAncillaryBuffer::default()).collect();
        let mut messages: Vec<_> = buffers
            .iter_mut()
            .map(|none| MMsgHdr::new(&part, none))
            .collect();
        Ok(rustix::net::sendmmsg(
            &self.fd,
            &mut messages,
            SendFlags::empty(),
        )?)
    }

    /// Receives the next frame into `buf`; what does not fit is cut off. `None`: the time is up. A
    /// frame that goes out and one that comes in differ by their source MAC. What the sender left to
    /// the device is known with [`PacketMode::Offload`].
    ///
    /// # Errors
    /// What the kernel says; `ENETDOWN` once where the interface goes.
    pub fn recv<'a>(&self, buf: &'a mut [u8]) -> std::io::Result<Option<(Offload, &'a [u8])>> {
        let len = loop {
            match rustix::net::recv(&self.fd, &mut *buf, RecvFlags::empty()) {
                Ok((len, _)) => break len.min(buf.len()),
                Err(Errno::INTR) => {}
                // EWOULDBLOCK is the same number.
                Err(Errno::AGAIN) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
        };
        let received = &buf[..len];
        if self.mode != PacketMode::Offload {
            return Ok(Some((Offload::default(), received)));
        }
        // `PACKET_VNET_HDR` puts the same header in front.
        let (header, frame) = received.split_at(VNET_HDR_LEN.min(len));
        Ok(Some((Offload::parse(header).unwrap_or_default(), frame)))
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> rustix::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// `struct sockaddr_ll`, as bind(2) reads it.
struct Address {
    index: u32,
    /// In network byte order.
    protocol: u16,
}

// SAFETY: the pointer is to a whole `sockaddr_ll` that lives until `f` returns, and the length is
// its size.
unsafe impl SocketAddrArg for Address {
    unsafe fn with_sockaddr<R>(
        &self,
        f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: self.protocol,
            sll_ifindex: self.index as i32,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        f(
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as SocketAddrLen,
        )
    }
}

/// `PACKET_VNET_HDR` of packet(7), from Linux 2.6.27 on.
fn want_virtio_header(fd: &OwnedFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option reads one `int` from a pointer to one; the descriptor is open.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_VNET_HDR,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}
