//! A file descriptor that the process was started with.

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use std::{
    io,
    os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

/// Takes over the descriptor `number`, which a shell has opened (`3>file`), and keeps it from programs that
/// this one starts. To be called before anything else is opened, since a number says nothing of who
/// opened it; standard input, output and error are not given away.
///
/// # Errors
/// `EBADF` where no descriptor of that number is open; `EINVAL` below 3.
pub fn inherited_file(number: RawFd) -> io::Result<OwnedFd> {
    if number < 3 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: borrowed for as long as the kernel is asked whether it is open at all.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = fcntl_getfd(borrowed)?;
    fcntl_setfd(borrowed, flags | FdFlags::CLOEXEC)?;
    // SAFETY: it is open, and the caller promises that nothing in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, os::fd::IntoRawFd};

    #[test]
    fn what_was_opened_is_taken_over_and_what_was_not_is_refused() {
        let (_reader, writer) = io::pipe().unwrap();
        let number = OwnedFd::from(writer).into_raw_fd();
        let taken = inherited_file(number).unwrap();
        std::fs::File::from(taken).write_all(b"x").unwrap();
        let error = inherited_file(1_000_000).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        assert!(inherited_file(2).is_err());
    }
}
