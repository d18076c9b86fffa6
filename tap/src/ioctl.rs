//! The TUN/TAP control calls (`linux/if_tun.h`), each as a safe function.

use libc::c_int;
use rustix::{
    fd::AsFd,
    io::Result,
    ioctl::{IntegerSetter, Opcode, Setter, ioctl},
};

// `libc` types requests differently on different C libraries, hence the casts.
const TUNSETIFF: Opcode = libc::TUNSETIFF as Opcode;
const TUNSETPERSIST: Opcode = libc::TUNSETPERSIST as Opcode;
const TUNSETOFFLOAD: Opcode = libc::TUNSETOFFLOAD as Opcode;
const TUNSETVNETHDRSZ: Opcode = libc::TUNSETVNETHDRSZ as Opcode;
const TUNSETSNDBUF: Opcode = libc::TUNSETSNDBUF as Opcode;
const TUNSETVNETLE: Opcode = libc::TUNSETVNETLE as Opcode;

/// `struct ifreq` as `TUNSETIFF` reads it: a name, and 16 bits of flags at the head of the union.
#[repr(C)]
struct IfReq {
    name: [u8; libc::IFNAMSIZ],
    flags: u16,
    rest_of_union: [u8; 22],
}

const _: () = assert!(size_of::<IfReq>() == size_of::<libc::ifreq>());

/// Attaches `fd` to the TAP `name`, which is made if it does not exist. `name` is shorter than
/// `IFNAMSIZ` and holds no NUL (checked by the caller).
pub(crate) fn attach(fd: impl AsFd, name: &str, flags: c_int) -> Result<()> {
    // The request's flags are a 16-bit field; every IFF_ constant of TUN fits.
    let mut request = IfReq {
        name: [0; _],
        flags: flags as u16,
        rest_of_union: [0; _],
    };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: TUNSETIFF copies one `struct ifreq` from the pointer and writes one back; `Setter`
    // owns memory of exactly that size (asserted above) and layout for the length of the call.
    unsafe { ioctl(fd, Setter::<TUNSETIFF, IfReq>::new(request)) }
}

/// Whether the device outlives its descriptors.
pub(crate) fn set_persistent(fd: impl AsFd, persistent: bool) -> Result<()> {
    // SAFETY: TUNSETPERSIST takes an integer by value and touches no memory of ours.
    unsafe {
        ioctl(
            fd,
            IntegerSetter::<TUNSETPERSIST>::new_usize(usize::from(persistent)),
        )
    }
}

/// What the reader takes unfinished: `TUN_F_…`. State of the device, not of the descriptor.
pub(crate) fn set_offload(fd: impl AsFd, mask: u32) -> Result<()> {
    // SAFETY: TUNSETOFFLOAD takes an integer by value and touches no memory of ours.
    unsafe { ioctl(fd, IntegerSetter::<TUNSETOFFLOAD>::new_usize(mask as usize)) }
}

/// Length of the virtio header before every frame.
pub(crate) fn set_vnet_header_len(fd: impl AsFd, len: c_int) -> Result<()> {
    // SAFETY: TUNSETVNETHDRSZ reads one `int` from the pointer, which `Setter` owns.
    unsafe { ioctl(fd, Setter::<TUNSETVNETHDRSZ, c_int>::new(len)) }
}

/// Virtio headers in little-endian layout, whatever the host's.
pub(crate) fn set_vnet_little_endian(fd: impl AsFd) -> Result<()> {
    // SAFETY: TUNSETVNETLE reads one `int` from the pointer, which `Setter` owns.
    unsafe { ioctl(fd, Setter::<TUNSETVNETLE, c_int>::new(1)) }
}

/// How many bytes written to the device may wait for its stack; beyond, a write fails with `EAGAIN`.
pub(crate) fn set_send_buffer(fd: impl AsFd, bytes: c_int) -> Result<()> {
    // SAFETY: TUNSETSNDBUF reads one `int` from the pointer, which `Setter` owns.
    unsafe { ioctl(fd, Setter::<TUNSETSNDBUF, c_int>::new(bytes)) }
}
