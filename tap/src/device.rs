//! TAP devices: opening, queues, reading and writing frames.

use crate::{
    error::{Error, NET_ADMIN},
    ioctl,
    link::{Link, Links, TapKind, check_name},
    napi,
    netns::{Netns, place},
};
use packet::VNET_HDR_LEN;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
    io::Errno,
};
use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    sync::{Mutex, PoisonError},
    thread,
};

/// Most queues of one TAP (`MAX_TAP_QUEUES` of the kernel).
pub const MAX_QUEUES: usize = 256;

/// Default length of a queue, in frames. The kernel's 500 is 1 ms at 500,000 frames a second, and a
/// reader that loses its core for one 4 ms tick would lose frames; 4096 bridge 8 ms.
pub const TX_QUEUE_LEN: u32 = 4096;

/// Bytes (of kernel memory, headers of buffers included) that may wait for the stack of a guest with a
/// thread: thirty segments of 64 KiB, or some 2,500 small frames.
pub const THREAD_QUEUE_BYTES: u32 = 2 << 20;

/// The longest a read can be, in bytes: virtio header, Ethernet header with a VLAN tag, and an IP
/// packet of 65,535 bytes, rounded up to whole 32 bytes.
pub const MAX_FRAME: usize = (VNET_HDR_LEN + 14 + 4 + 65_535).next_multiple_of(32);

/// Checksums and segments that a reader with virtio headers takes unfinished.
const OFFLOADS: u32 = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
/// UDP segmentation, taken by Linux 6.2 and later.
const UDP_OFFLOADS: u32 = libc::TUN_F_USO4 | libc::TUN_F_USO6;

/// What to open.
#[derive(Debug, Clone)]
pub struct TapOptions {
    /// Interface name, at most 15 bytes.
    pub name: String,
    /// Where the guest's side lies; `None` is the calling thread's namespace.
    pub netns: Option<Netns>,
    /// Queues to open, 1 to [`MAX_QUEUES`]; a TAP with more than one can be opened again with any
    /// number.
    pub queues: usize,
    /// Queues of this TAP that the caller has open already and is about to replace. Any further queue
    /// is another program's, which would take a part of the frames: the TAP is busy.
    pub own_queues: usize,
    /// Make a device that can take more queues later, even if only one is opened now. Nothing to
    /// say for a device that exists.
    pub multi_queue: bool,
    /// Frames carry a virtio header, and the guest may leave checksums and segmentation to us.
    pub vnet_hdr: bool,
    /// The device outlives the descriptors.
    pub persistent: bool,
    /// Frames that wait for the reader in each queue before the kernel drops.
    pub tx_queue_len: u32,
    /// The guest's stack takes what is written on a kernel thread of its own, `napi/NAME-…`, instead of on
    /// the writer's: a slow one then slows no other guest. At most [`THREAD_QUEUE_BYTES`] wait for it; beyond,
    /// writes fail with `EAGAIN`, which no counter of the kernel shows. Fixed for a queue's life.
    pub threaded: bool,
}

impl TapOptions {
    /// One queue with virtio headers in the caller's namespace, gone when closed.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            netns: None,
            queues: 1,
            own_queues: 0,
            multi_queue: false,
            vnet_hdr: true,
            persistent: false,
            tx_queue_len: TX_QUEUE_LEN,
            threaded: false,
        }
    }
}

/// A TAP: one interface, one or more queues.
#[derive(Debug)]
pub struct Tap {
    name: String,
    netns: Option<Netns>,
    queues: Vec<Queue>,
    created: bool,
    udp_segmentation: bool,
}

impl Tap {
    /// Makes the TAP `options.name` inside its namespace, or attaches to a persistent one.
    ///
    /// The interface of a new TAP is down and has a random MAC; [`Links`] sets it up. As long as a
    /// queue is open, its namespace lives, even after `ip netns delete` has taken the name away: so
    /// it is for every socket. Removing the interface ends a [`Queue`] at once ([`vanished`]).
    ///
    /// # Errors
    /// [`Error::NoTunDevice`], [`Error::NotTunDevice`] and [`Error::Permission`] where the system does not let us;
    /// [`Error::NotATap`], [`Error::OneQueue`], [`Error::Busy`] where the name is taken by something
    /// that does not agree; [`Error::NoSuchNetns`]. A device made by this call is gone again then.
    pub fn open(options: &TapOptions) -> Result<Self, Error> {
        check_name(&options.name)?;
        if options.queues == 0 || options.queues > MAX_QUEUES {
            return Err(Error::QueueCount {
                wanted: options.queues,
            });
        }
        let mut links = Links::open(options.netns.as_ref())?;
        let found = links.find(&options.name)?;
        let multi_queue = check_agreement(options, found.as_ref())?;

        // A queue takes its length from the device when it is attached, hence one, length, others.
        let mut queues =
            in_netns(options, || open_queue(options, multi_queue)).map(|queue| vec![queue])?;
        let udp_segmentation = set_headers(options, &queues[0])?;
        links.set_tx_queue_len(&options.name, options.tx_queue_len)?;
        if found.is_none() {
            without_scheduler(&mut links, &options.name)?;
        }
        if options.queues > 1 {
            let others = || {
                (1..options.queues)
                    .map(|_| open_queue(options, multi_queue))
                    .collect()
            };
            queues.append(&mut in_netns::<Vec<Queue>>(options, others)?);
        }
        if options.threaded {
            in_netns(options, || napi::use_threads(&options.name))?;
        }
        // Again, for two programs may have found the TAP free at the same time.
        check_sole_user(options, links.get(&options.name)?.tap, queues.len())?;

        let netns = options.netns.clone();
        let tap = Self {
            name: options.name.clone(),
            netns,
            queues,
            created: found.is_none(),
            udp_segmentation,
        };
        if options.persistent {
            tap.set_persistent(true)?;
        }
        Ok(tap)
    }

    /// Interface name at the time of opening.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace of the guest's side.
    #[must_use]
    pub fn netns(&self) -> Option<&Netns> {
        self.netns.as_ref()
    }

    /// The queues, in the order the kernel numbers them.
    #[must_use]
    pub fn queues(&self) -> &[Queue] {
        &self.queues
    }

    /// Hands the queues out, one per worker. The device of a TAP that is not persistent lives as long
    /// as the last of them.
    #[must_use]
    pub fn into_queues(self) -> Vec<Queue> {
        self.queues
    }

    /// Whether opening made the device; otherwise it was there.
    #[must_use]
    pub fn was_created(&self) -> bool {
        self.created
    }

    /// Whether the guest may leave UDP segmentation to us (Linux 6.2 and later).
    #[must_use]
    pub fn takes_udp_segments(&self) -> bool {
        self.udp_segmentation
    }

    /// Whether the device outlives its descriptors.
    ///
    /// # Errors
    /// What the kernel says, `EBADFD` for a device that is gone.
    pub fn set_persistent(&self, persistent: bool) -> Result<(), Error> {
        let queue = self
            .queues
            .first()
            .expect("a TAP is opened with a queue and keeps it");
        let what = format!(
            "make TAP `{}` {}",
            self.name,
            if persistent {
                "persistent"
            } else {
                "temporary"
            }
        );
        ioctl::set_persistent(queue, persistent).map_err(|errno| Error::of(what, NET_ADMIN, errno))
    }

    /// Removes the device, once no other program has it open.
    ///
    /// # Errors
    /// As [`Tap::set_persistent`].
    pub fn remove(self) -> Result<(), Error> {
        self.set_persistent(false)
    }
}

/// One queue of a TAP: frames the guest sent, and frames for the guest. Non-blocking; reading and
/// writing take `&self`, for the kernel locks, but two threads on one queue reorder.
#[derive(Debug)]
pub struct Queue {
    fd: OwnedFd,
}

impl Queue {
    /// Reads the next waiting frame, with its virtio header where the TAP has one. `None`: nothing
    /// waits. What does not fit into `buf` is cut off; [`MAX_FRAME`] bytes hold everything.
    ///
    /// # Errors
    /// What the kernel says; see [`vanished`].
    #[inline]
    pub fn read(&self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            let room = buf.len();
            match rustix::io::read(&self.fd, &mut *buf) {
                Ok(len) => return Ok(Some(len.min(room))),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Hands one frame to the guest, with its virtio header first where the TAP has one. Runs the
    /// guest's stack before it returns, unless that has a thread ([`TapOptions::threaded`]).
    ///
    /// # Errors
    /// `EAGAIN` where that thread is behind; `EIO` while the guest has its interface down; `EINVAL` for a header that the frame
    /// contradicts; see [`vanished`].
    #[inline]
    pub fn write(&self, frame: &[u8]) -> io::Result<()> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::write(&self.fd, frame)).map(|_| ())?)
    }

    /// As [`Queue::write`], from two places: the virtio header and the frame.
    ///
    /// # Errors
    /// As [`Queue::write`].
    #[inline]
    pub fn write_parts(&self, header: &[u8], frame: &[u8]) -> io::Result<()> {
        let parts = [IoSlice::new(header), IoSlice::new(frame)];
        Ok(rustix::io::retry_on_intr(|| rustix::io::writev(&self.fd, &parts)).map(|_| ())?)
    }
}

/// Threads that close queues. More gain nothing: the kernel takes the devices out one by one, and is
/// waited for together.
const CLOSERS: usize = 32;

/// Closes queues side by side. The last queue of a TAP that is not persistent takes the device with it,
/// for which the kernel waits 20 ms, once for all that are closed meanwhile: a thousand go in 1 s
/// instead of 20 s.
pub fn close_together(queues: Vec<Queue>) {
    let threads = queues.len().min(CLOSERS);
    let queues = Mutex::new(queues);
    let next = || queues.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let close = || {
        while let Some(queue) = next() {
            drop(queue);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // A thread that cannot be had leaves its part to the others.
            let _ = thread::Builder::new().spawn_scoped(scope, close);
        }
        close();
    });
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Queue {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Whether an error of a [`Queue`] means that its device is gone (removed, or gone with its
/// namespace) and will not come back: `EBADFD`, and what a driver in the course of removal says.
/// `EIO` is not among them: so answers a device that is down, which is the guest's to decide.
#[must_use]
pub fn vanished(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EBADFD | libc::ENODEV | libc::ENXIO | libc::EBADF)
    )
}

/// Which of these queues have lost their device, in their order: one system call for all. A read that
/// waits may miss that moment (the kernel wakes it before the device lets go of the queue).
///
/// # Errors
/// What the kernel says to the call as a whole.
pub fn find_vanished<'a>(queues: impl Iterator<Item = &'a Queue>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<_> = queues
        .map(|queue| PollFd::new(queue, PollFlags::empty()))
        .collect();
    rustix::io::retry_on_intr(|| poll(&mut polled, Some(&Timespec::default())))?;
    Ok(polled
        .iter()
        .map(|polled| polled.revents().contains(PollFlags::ERR))
        .collect())
}

/// Compares what is asked for with what exists. Whether to attach as a multi-queue device: the
/// kernel refuses (EINVAL) where that differs from how the device was made.
fn check_agreement(options: &TapOptions, found: Option<&Link>) -> Result<bool, Error> {
    let Some(link) = found else {
        return Ok(options.multi_queue || options.queues > 1);
    };
    let (name, place) = (options.name.clone(), place(options.netns.as_ref()));
    match link.tap {
        Some(tap) if tap.ethernet => {
            check_sole_user(options, Some(tap), 0)?;
            if options.queues > 1 && !tap.multi_queue {
                return Err(Error::OneQueue {
                    name,
                    place,
                    wanted: options.queues,
                });
            }
            Ok(tap.multi_queue)
        }
        Some(_) => Err(Error::NotATap {
            name,
            place,
            kind: "a TUN".into(),
        }),
        None if link.kind.is_empty() => Err(Error::NotATap {
            name,
            place,
            kind: "a network card".into(),
        }),
        None => Err(Error::NotATap {
            name,
            place,
            kind: link.kind.clone(),
        }),
    }
}

/// Takes the kernel's scheduler from a new TAP; a kernel that was built without one has none to take.
fn without_scheduler(links: &mut Links, name: &str) -> Result<(), Error> {
    match links.set_no_scheduler(name) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
        result => result,
    }
}

/// The kernel lets several programs attach to a TAP with many queues and divides the flows among
/// them: neither would see all. `opened` are the queues of this call.
fn check_sole_user(
    options: &TapOptions,
    found: Option<TapKind>,
    opened: usize,
) -> Result<(), Error> {
    let attached = found.map_or(0, |tap| tap.queues as usize);
    if attached > options.own_queues.saturating_add(opened) {
        return Err(Error::Busy {
            name: options.name.clone(),
            place: place(options.netns.as_ref()),
        });
    }
    Ok(())
}

fn in_netns<T: Send>(
    options: &TapOptions,
    f: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    match &options.netns {
        Some(netns) => netns.run_in(f)?,
        None => f(),
    }
}

/// Opens the clone device, which from then on belongs to this thread's namespace, and attaches it.
fn open_queue(options: &TapOptions, multi_queue: bool) -> Result<Queue, Error> {
    // O_NONBLOCK is also what lets the kernel build small frames in place (tun_can_build_skb).
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd =
        rustix::fs::open("/dev/net/tun", flags, Mode::empty()).map_err(|errno| match errno {
            Errno::NOENT | Errno::NODEV | Errno::NXIO => Error::NoTunDevice,
            Errno::ISDIR => Error::NotTunDevice,
            // Capabilities do not help where the file's mode shuts its user out, root of a user namespace too.
            Errno::ACCESS => Error::Refused {
                what: "open /dev/net/tun".to_owned(),
                cause: errno.into(),
                remedy: "its mode (often 0600, root's) shuts this user out: run as root, or `chmod 0666 /dev/net/tun`, as most \
                         distributions have it",
            },
            errno => Error::of("open /dev/net/tun", NET_ADMIN, errno),
        })?;
    let mut flags = libc::IFF_TAP | libc::IFF_NO_PI;
    if options.vnet_hdr {
        flags |= libc::IFF_VNET_HDR;
    }
    if multi_queue {
        flags |= libc::IFF_MULTI_QUEUE;
    }
    if options.threaded {
        flags |= libc::IFF_NAPI;
    }
    ioctl::attach(&fd, &options.name, flags).map_err(|errno| {
        let place = place(options.netns.as_ref());
        match errno {
            Errno::BUSY => Error::Busy {
                name: options.name.clone(),
                place,
            },
            // What any other device or file says to a call that it does not know.
            Errno::NOTTY => Error::NotTunDevice,
            errno => Error::of(
                format!("open TAP `{}`{place}", options.name),
                NET_ADMIN,
                errno,
            ),
        }
    })?;
    if options.threaded {
        ioctl::set_send_buffer(&fd, THREAD_QUEUE_BYTES as libc::c_int)
            .map_err(|errno| Error::of("bound what waits for a TAP's thread", NET_ADMIN, errno))?;
    }
    Ok(Queue { fd })
}

/// Virtio header and offloads. The mask is set in either case: it belongs to the device and
/// survives on a persistent one, which would then send 64 KiB frames without a header to explain
/// them. Tells whether UDP segmentation is on.
///
/// `TUNSETSNDBUF` is left alone on purpose where there is no thread: a finite value switches the kernel's
/// one-copy path for small frames off.
fn set_headers(options: &TapOptions, queue: &Queue) -> Result<bool, Error> {
    let failed = |what: &str| {
        let what = format!(
            "{what} of TAP `{}`{}",
            options.name,
            place(options.netns.as_ref())
        );
        move |errno| Error::of(what, NET_ADMIN, errno)
    };
    if !options.vnet_hdr {
        ioctl::set_offload(queue, 0).map_err(failed("switch off the offloads"))?;
        return Ok(false);
    }
    let header_len = VNET_HDR_LEN as libc::c_int;
    ioctl::set_vnet_header_len(queue, header_len).map_err(failed("set the virtio header"))?;
    ioctl::set_vnet_little_endian(queue).map_err(failed("set the virtio byte order"))?;
    match ioctl::set_offload(queue, OFFLOADS | UDP_OFFLOADS) {
        Ok(()) => Ok(true),
        // Before Linux 6.2.
        Err(Errno::INVAL) => {
            ioctl::set_offload(queue, OFFLOADS).map_err(failed("switch on the offloads"))?;
            Ok(false)
        }
        Err(errno) => Err(failed("switch on the offloads")(errno)),
    }
}
