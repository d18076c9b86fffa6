//! TAP queues by `io_uring`: many frames with one system call.
//!
//! ```text
//!   queue ──multishot read──▶ slots of that queue ──▶ next() ─▶ bytes() … write() ─▶ give_back()
//!                                  ▲                                        │
//!                                  └──────────── submit(), wait() ──────────┘ one system call: writes
//!                                                what is queued, then reads what has come meanwhile
//! ```
//!
//! One read per queue stays armed and fills slots as frames come; writes are queued and handed over
//! together. The kernel works only while the ring's thread is inside [`Ring::submit`] or
//! [`Ring::wait`] (`IORING_SETUP_DEFER_TASKRUN`, `SINGLE_ISSUER`), so nothing moves behind its back.
//!
//! * Each queue has slots of its own: a queue that floods runs out of them, and has to wait until the
//!   ring's owner has dealt with the others.
//! * A slot holds any frame, because a read into less would cut it off without a word.
//! * Writes do not wait (`RWF_NOWAIT`), so they are done, and in order, when [`Ring::submit`] returns.
//!   A slot goes back only after that.
//!
//! Limits: [`MAX_RING_QUEUES`]; 64 slots for each queue, 64 KiB of address space each, resident as far as
//! frames reached. Needs Linux 6.7 (multishot reads); containers and sysctls may forbid it:
//! [`Ring::probe`] tells.

mod memory;
mod slots;

use crate::device::{Queue, vanished};
use io_uring::{
    IoUring, Probe, cqueue, opcode, squeue,
    types::{CancelBuilder, Fd, SubmitArgs, Timespec},
};
use slots::{SLOTS, Slots};
use std::{
    collections::VecDeque,
    io,
    marker::PhantomData,
    mem::ManuallyDrop,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    time::Duration,
};

/// Most queues of one ring: their numbers are 16 bits wide, as are the kernel's of buffer groups.
pub const MAX_RING_QUEUES: usize = 1 << 16;

/// Requests handed over with one system call; more are handed over in several.
const SUBMISSIONS: u32 = 256;
/// Completions that wait for us: a burst of every one of 64 queues. Beyond that the kernel ends reads,
/// which are armed again.
const COMPLETIONS: u32 = 4096;
/// `RWF_NOWAIT` of `linux/fs.h`: rather fail than be put off.
const NO_WAIT: i32 = libc::RWF_NOWAIT;

/// A frame in a slot of a ring. Goes back with [`Ring::give_back`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filled {
    /// Where it lies: the queue's number and the number of the queue's slot.
    pub slot: u32,
    /// Bytes of the frame, with its virtio header where the TAP has one.
    pub len: u32,
}

/// What became of a frame that [`Ring::write`] queued.
#[derive(Debug)]
pub struct Written {
    /// The queue it was written to.
    pub queue: u16,
    /// What the writer said about it.
    pub mark: u32,
    /// As [`Queue::write`] answers.
    pub result: io::Result<()>,
}

/// The queues of one thread. Made on that thread, and bound to it.
pub struct Ring {
    uring: ManuallyDrop<IoUring>,
    members: ManuallyDrop<Vec<Option<Member>>>,
    /// Numbers of members that have something for [`Ring::next`].
    ready: VecDeque<u16>,
    /// Members whose read is to be armed.
    to_arm: Vec<u16>,
    /// Writes handed over or queued whose completion has not been seen.
    writing: u32,
    settled: Vec<Written>,
    watched: Option<RawFd>,
    watch_fired: bool,
    /// `IORING_SETUP_SINGLE_ISSUER`: the kernel refuses other threads.
    _bound: PhantomData<*const ()>,
}

/// A queue, its slots and what was read into them.
#[derive(Debug)]
struct Member {
    queue: Queue,
    slots: Slots,
    waiting: VecDeque<(u16, u32)>,
    ended: Option<io::Error>,
    is_ready: bool,
    is_armed: bool,
    /// It stands in `to_arm`.
    will_arm: bool,
    /// No large frame since the slots ran out last.
    all_small: bool,
}

/// What a request was, in its 64 bits of user data: kind, queue, mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Read,
    Write,
    Watch,
    Cancel,
}

const fn tag(kind: Kind, queue: u16, mark: u32) -> u64 {
    (kind as u64) << 48 | (queue as u64) << 32 | mark as u64
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("members", &self.members.len())
            .field("writing", &self.writing)
            .finish_non_exhaustive()
    }
}

impl Ring {
    /// Whether this process may have a ring here, and the kernel has what a ring needs.
    ///
    /// # Errors
    /// `ENOSYS`, `EPERM` where io_uring is missing or forbidden, `EINVAL` or `Unsupported` before
    /// Linux 6.7.
    pub fn probe() -> io::Result<()> {
        Self::new().map(drop)
    }

    /// A ring without queues.
    ///
    /// # Errors
    /// As [`Ring::probe`]; `ENOMEM`.
    pub fn new() -> io::Result<Self> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .dontfork()
            .build(SUBMISSIONS)?;
        let mut probe = Probe::new();
        uring.submitter().register_probe(&mut probe)?;
        if !probe.is_supported(opcode::ReadMulti::CODE) {
            let text = "io_uring here has no multishot reads, which came with Linux 6.7";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        Ok(Self {
            uring: ManuallyDrop::new(uring),
            members: ManuallyDrop::new(vec![]),
            ready: VecDeque::new(),
            to_arm: vec![],
            writing: 0,
            settled: vec![],
            watched: None,
            watch_fired: false,
            _bound: PhantomData,
        })
    }

    /// Takes a queue in; its frames are read from the next [`Ring::submit`] on. Its number is the least
    /// that is free.
    ///
    /// # Errors
    /// `ENOMEM`, `ENOSPC` beyond [`MAX_RING_QUEUES`].
    pub fn attach(&mut self, queue: Queue) -> io::Result<u16> {
        let place = self.members.iter().position(Option::is_none);
        let place = place.unwrap_or(self.members.len());
        let number =
            u16::try_from(place).map_err(|_| io::Error::from_raw_os_error(libc::ENOSPC))?;
        let slots = Slots::new()?;
        // SAFETY: the ring's memory is as large as that many entries, aligned to a page, and is kept
        // until the group is unregistered (`detach`) or the ring is gone (`drop`).
        unsafe {
            self.uring.submitter().register_buf_ring_with_flags(
                slots.ring_address(),
                SLOTS,
                number,
                0,
            )?;
        }
        let member = Member {
            queue,
            slots,
            waiting: VecDeque::with_capacity(SLOTS.into()),
            ended: None,
            is_ready: false,
            is_armed: false,
            will_arm: false,
            all_small: true,
        };
        if place == self.members.len() {
            self.members.push(Some(member));
        } else {
            self.members[place] = Some(member);
        }
        self.arm_later(number);
        Ok(number)
    }

    /// Gives a queue back. What was read from it and not taken by [`Ring::next`] is lost. Writes that
    /// are queued are handed over before.
    ///
    /// # Errors
    /// What the kernel says; the queue stays then.
    ///
    /// # Panics
    /// Where the ring has no such queue.
    pub fn detach(&mut self, number: u16) -> io::Result<Queue> {
        self.submit()?;
        self.to_arm.retain(|&other| other != number);
        self.member(number).will_arm = true;
        while self.member(number).is_armed {
            let read = tag(Kind::Read, number, 0);
            let cancel = opcode::AsyncCancel::new(read).build();
            self.push(&cancel.user_data(tag(Kind::Cancel, number, 0)))?;
            self.enter(1, None)?;
            self.drain();
        }
        self.uring.submitter().unregister_buf_ring(number)?;
        self.ready.retain(|&other| other != number);
        let member = self.members[usize::from(number)].take();
        Ok(member.expect("it was used above").queue)
    }

    /// A queue of the ring, to write to past the ring. What is queued for it is overtaken: submit first.
    ///
    /// # Panics
    /// Where the ring has no such queue.
    #[must_use]
    pub fn queue(&self, number: u16) -> &Queue {
        let member = self.members[usize::from(number)].as_ref();
        &member.expect("the ring has this queue").queue
    }

    /// Makes [`Ring::wait`] return when `fd` is readable; [`Ring::fired`] tells. The descriptor is
    /// watched by its number: it is to be open as long as the ring is.
    pub fn watch(&mut self, fd: RawFd) {
        self.watched = Some(fd);
        self.watch_fired = true;
    }

    /// Whether the descriptor that is watched has become readable since the last time.
    pub fn fired(&mut self) -> bool {
        let fired = self.watch_fired;
        if fired && let Some(fd) = self.watched {
            let poll = opcode::PollAdd::new(Fd(fd), libc::POLLIN as u32).build();
            // Without room now, it is asked for again the next time.
            self.watch_fired = self.push(&poll.user_data(tag(Kind::Watch, 0, 0))).is_err();
        }
        fired
    }

    /// How many queues have something for [`Ring::next`].
    #[inline]
    #[must_use]
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// The queue whose turn it is. It is ready again when more has come: take all that [`Ring::next`]
    /// has, or say [`Ring::not_done`].
    #[inline]
    pub fn next_ready(&mut self) -> Option<u16> {
        let number = self.ready.pop_front()?;
        self.member(number).is_ready = false;
        Some(number)
    }

    /// The queue's turn is over although [`Ring::next`] has more: it is ready again, behind the others.
    pub fn not_done(&mut self, number: u16) {
        let member = self.member(number);
        if !member.is_ready && member.has_something() {
            member.is_ready = true;
            self.ready.push_back(number);
        }
    }

    /// The next frame that was read from a queue. `None`: no more.
    ///
    /// # Errors
    /// Why reading has ended; it is begun again where the device is still there.
    #[inline]
    pub fn next(&mut self, number: u16) -> io::Result<Option<Filled>> {
        let member = self.member(number);
        if let Some((slot, len)) = member.waiting.pop_front() {
            let slot = u32::from(number) << 16 | u32::from(slot);
            return Ok(Some(Filled { slot, len }));
        }
        match member.ended.take() {
            Some(error) if vanished(&error) => {
                let again =
                    io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EBADFD));
                member.ended = Some(again);
                Err(error)
            }
            Some(error) => {
                self.arm_later(number);
                Err(error)
            }
            None => Ok(None),
        }
    }

    /// Takes note that a queue's device is gone, as a write or a look at it has found out: what
    /// [`Ring::next`] reports then, for good. The queue's read may never: a device in the course of its
    /// removal wakes it a moment before it lets go of the queue, and not again.
    ///
    /// # Panics
    /// Where the ring has no such queue.
    pub fn note_gone(&mut self, number: u16) {
        let member = self.member(number);
        member
            .ended
            .get_or_insert_with(|| io::Error::from_raw_os_error(libc::EBADFD));
        if !member.is_ready {
            member.is_ready = true;
            self.ready.push_back(number);
        }
    }

    /// The bytes of a frame.
    ///
    /// # Panics
    /// Where it has been given back.
    #[inline]
    #[must_use]
    pub fn bytes(&self, frame: Filled) -> &[u8] {
        let (number, slot) = place(frame);
        let member = self
            .members
            .get(usize::from(number))
            .and_then(Option::as_ref);
        member.expect("the ring has this queue").slots.bytes(slot)
    }

    /// Queues a frame for writing; [`Ring::submit`] hands it over, [`Ring::settled`] tells what became
    /// of it under `mark`. Frames leave a queue in the order of these calls.
    ///
    /// # Errors
    /// Where the kernel does not take what was queued before.
    #[inline]
    pub fn write(&mut self, to: u16, frame: Filled, mark: u32) -> io::Result<()> {
        let bytes = self.bytes(frame);
        let fd = Fd(self.queue(to).as_raw_fd());
        let entry = opcode::Write::new(fd, bytes.as_ptr(), bytes.len() as u32)
            .rw_flags(NO_WAIT)
            .build()
            .user_data(tag(Kind::Write, to, mark));
        if self.uring.submission().is_full() {
            self.submit()?;
        }
        self.push(&entry)?;
        self.writing += 1;
        Ok(())
    }

    /// What became of the frames written since the last time, in the order of [`Ring::write`].
    #[inline]
    pub fn settled(&mut self) -> impl Iterator<Item = Written> + '_ {
        self.settled.drain(..)
    }

    /// Takes a frame's slot back.
    ///
    /// # Panics
    /// Where it was given back before, and where writes are queued that may need it.
    #[inline]
    pub fn give_back(&mut self, frame: Filled) {
        assert_eq!(self.writing, 0, "a slot goes back when its writes are done");
        self.discard(frame);
    }

    /// As [`Ring::give_back`], of a frame that was not written.
    ///
    /// # Panics
    /// Where it was given back before.
    #[inline]
    pub fn discard(&mut self, frame: Filled) {
        let (number, slot) = place(frame);
        let member = self.member(number);
        member.slots.free(slot);
        // A read that ended waits for room; one that goes on only wants its slots back.
        if member.is_armed {
            member.slots.offer();
        } else if member.ended.is_none() {
            self.arm_later(number);
        }
    }

    /// Hands over what is queued, and reads what has come. When it returns, every write is done.
    ///
    /// # Errors
    /// What the kernel says to the ring as a whole, not to a frame.
    #[inline]
    pub fn submit(&mut self) -> io::Result<()> {
        self.arm();
        self.enter(0, None)?;
        self.drain();
        while self.writing > 0 {
            self.enter(1, None)?;
            self.drain();
        }
        Ok(())
    }

    /// As [`Ring::submit`], and sleeps until something comes, at most `timeout`.
    ///
    /// # Errors
    /// As [`Ring::submit`].
    pub fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        self.arm();
        let sleep = !timeout.is_zero() && self.ready.is_empty() && !self.watch_fired;
        self.enter(u32::from(sleep), Some(timeout))?;
        self.drain();
        Ok(())
    }

    /// Whether something has come that [`Ring::submit`] would read. Costs no system call.
    #[inline]
    #[must_use]
    pub fn has_work(&mut self) -> bool {
        self.uring.submission().taskrun() || !self.uring.completion().is_empty()
    }

    fn member(&mut self, number: u16) -> &mut Member {
        let member = self.members.get_mut(usize::from(number));
        member
            .and_then(Option::as_mut)
            .expect("the ring has this queue")
    }

    fn arm_later(&mut self, number: u16) {
        let member = self.member(number);
        if !member.will_arm {
            member.will_arm = true;
            self.to_arm.push(number);
        }
    }

    /// Begins the reads that are not armed, in turn.
    fn arm(&mut self) {
        while let Some(&number) = self.to_arm.last() {
            let member = self.member(number);
            // Without a free slot it waits for the next that is given back.
            if member.slots.offer() {
                let fd = Fd(member.queue.as_raw_fd());
                let read = opcode::ReadMulti::new(fd, 0, number).build();
                if self
                    .push(&read.user_data(tag(Kind::Read, number, 0)))
                    .is_err()
                {
                    return;
                }
                self.member(number).is_armed = true;
            }
            self.member(number).will_arm = false;
            self.to_arm.pop();
        }
    }

    #[inline]
    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: what an entry points to lives until its completion: a write's bytes lie in a slot,
        // whose memory goes only after all requests have ended (`detach`, `drop`); a read's go to a
        // group that is registered as long as its member lives; a poll points to nothing.
        let pushed = unsafe { self.uring.submission().push(entry) };
        pushed.map_err(|_| io::Error::from_raw_os_error(libc::EBUSY))
    }

    /// Enters the kernel: hands over, waits for `want` completions, runs what was deferred.
    #[inline]
    fn enter(&mut self, want: u32, timeout: Option<Duration>) -> io::Result<()> {
        let timespec = timeout.map(Timespec::from);
        let mut args = SubmitArgs::new();
        if let Some(timespec) = &timespec {
            args = args.timespec(timespec);
        }
        let (submitter, mut submission, _) = self.uring.split();
        submission.sync();
        let queued = submission.len() as u32;
        drop(submission);
        let flags = io_uring::EnterFlags::GETEVENTS | io_uring::EnterFlags::EXT_ARG;
        // SAFETY: as many requests as are queued; the argument is what EXT_ARG says it is, and lives
        // through the call.
        let entered = unsafe { submitter.enter(queued, want, flags.bits(), Some(&args)) };
        match entered {
            Ok(_) => Ok(()),
            // The time is over; a signal; completions that wait to be drained.
            Err(error) => match error.raw_os_error() {
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Takes in what has completed.
    #[inline]
    fn drain(&mut self) {
        let Self {
            uring,
            members,
            ready,
            to_arm,
            writing,
            watch_fired,
            settled,
            ..
        } = self;
        for completion in uring.completion() {
            let data = completion.user_data();
            let (queue, mark) = ((data >> 32) as u16, data as u32);
            let result = completion.result();
            match data >> 48 {
                READ => {
                    let member = members.get_mut(usize::from(queue)).and_then(Option::as_mut);
                    let member = member.expect("a queue leaves after its read has ended");
                    member.read(result, completion.flags());
                    if !member.is_ready && member.has_something() {
                        member.is_ready = true;
                        ready.push_back(queue);
                    }
                    if !member.is_armed && member.ended.is_none() && !member.will_arm {
                        member.will_arm = true;
                        to_arm.push(queue);
                    }
                }
                WRITE => {
                    *writing -= 1;
                    let result = if result < 0 {
                        Err(io::Error::from_raw_os_error(-result))
                    } else {
                        Ok(())
                    };
                    settled.push(Written {
                        queue,
                        mark,
                        result,
                    });
                }
                WATCH => *watch_fired = true,
                _ => {}
            }
        }
    }
}

const READ: u64 = Kind::Read as u64;
const WRITE: u64 = Kind::Write as u64;
const WATCH: u64 = Kind::Watch as u64;

impl Member {
    fn has_something(&self) -> bool {
        !self.waiting.is_empty() || self.ended.is_some()
    }

    /// A completion of its read.
    fn read(&mut self, result: i32, flags: u32) {
        self.is_armed = cqueue::more(flags);
        let slot = cqueue::buffer_select(flags);
        match (result, slot) {
            (len @ 1.., Some(slot)) => {
                self.slots.filled(slot, len as u32);
                self.all_small &= !slots::is_large(len as u32);
                self.waiting.push_back((slot, len as u32));
            }
            (_, Some(slot)) => {
                self.slots.filled(slot, 0);
                self.slots.free(slot);
            }
            (0.., None) => {}
            (error, None) => self.ends(-error),
        }
    }

    fn ends(&mut self, errno: i32) {
        match errno {
            libc::ENOBUFS => {
                self.slots.ran_out(self.all_small);
                self.all_small = true;
            }
            libc::ECANCELED | libc::EAGAIN | libc::EINTR => {}
            errno => self.ended = Some(io::Error::from_raw_os_error(errno)),
        }
    }
}

/// The number of a frame's queue, and of its slot there.
const fn place(frame: Filled) -> (u16, u16) {
    ((frame.slot >> 16) as u16, frame.slot as u16)
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as the ring is.
        unsafe { BorrowedFd::borrow_raw(self.uring.as_raw_fd()) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // The kernel reads into slots and from slots until every request has ended; only then their
        // memory may go. Where that cannot be brought about, it stays for ever.
        let all = CancelBuilder::any();
        // Nothing to cancel is an answer too; what counts is seen below.
        let _ = self.uring.submitter().register_sync_cancel(None, all);
        let _ = self.enter(0, None);
        self.drain();
        let is_quiet =
            self.writing == 0 && self.members.iter().flatten().all(|member| !member.is_armed);
        // SAFETY: neither is used again, and each is dropped once.
        unsafe { ManuallyDrop::drop(&mut self.uring) };
        if is_quiet {
            // SAFETY: as above; no request is left that points into the slots.
            unsafe { ManuallyDrop::drop(&mut self.members) };
        }
    }
}
