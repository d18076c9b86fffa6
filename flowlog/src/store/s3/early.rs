//! Answers that come before the request was read.
//!
//! A store that refuses a key or a size answers at once and closes, so that writing on fails with a
//! broken pipe while the answer lies there to be read. What cannot be written after that is dropped, and
//! the answer is read; where there is none, the failure of the write is what is told.

use std::{fmt, io};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// Wraps every connection.
#[derive(Debug)]
pub(super) struct Early;

impl<In: Transport> Connector<In> for Early {
    type Out = Listening<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        Ok(chained.map(|inner| Listening { inner, cut: None }))
    }
}

/// A connection whose other end may have stopped reading.
pub(super) struct Listening<T> {
    inner: T,
    /// Why nothing can be written any more.
    cut: Option<io::Error>,
}

impl<T: fmt::Debug> fmt::Debug for Listening<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: Transport> Transport for Listening<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        if self.cut.is_some() {
            return Ok(());
        }
        match self.inner.transmit_output(amount, timeout) {
            Err(ureq::Error::Io(error))
                if matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) =>
            {
                self.cut = Some(error);
                Ok(())
            }
            sent => sent,
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let read = self.inner.await_input(timeout);
        match (read, self.cut.take()) {
            (Ok(true), cut) => {
                self.cut = cut;
                Ok(true)
            }
            (_, Some(cut)) => Err(ureq::Error::Io(cut)),
            (read, None) => read,
        }
    }

    fn is_open(&mut self) -> bool {
        self.cut.is_none() && self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
