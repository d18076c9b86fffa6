//! TCP: states and windows.

/// What is known of one sender, 12 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Peer {
    /// Sequence number behind the last byte it sent.
    pub end: u32,
    /// Greatest acknowledgement it sent.
    pub acked: u32,
    /// Greatest window it offered, in units of its scale.
    pub max_win: u16,
    /// Window scale, 0 to 14.
    pub scale: u8,
    /// What is known of it.
    pub flags: u8,
}

/// Both senders: the originator first. For other protocols the same 24 bytes hold the time of birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct TcpWindow {
    /// Originator, then the other end.
    pub peers: [Peer; 2],
}

const _: () = assert!(size_of::<TcpWindow>() == 24);
