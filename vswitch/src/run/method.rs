//! Which way frames are read and written.
//!
//! `io_uring` saves the entry into the kernel for each frame and pays for a request instead. Which of the
//! two is dearer is the processor's business, and that of the mitigations for its weaknesses: where a
//! system call takes 0.22 µs, `io_uring` carries 31 % more small packets; where it takes 0.10 µs, 8 %
//! fewer (docs/benchmarks.md). So `auto` asks the machine (docs/decisions/0012-io-uring.md).

use crate::config::Io;
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

/// A system call that takes longer than this is worth sparing.
const DEAR: Duration = Duration::from_nanos(140);

/// System calls in one measurement, and measurements, of which the shortest counts: nobody else had the
/// core then. A millisecond in all.
const CALLS: u32 = 500;
const MEASUREMENTS: u32 = 20;

/// How frames are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// A system call for each frame.
    ReadWrite,
    /// A system call for many.
    Uring,
}

impl Method {
    /// What the configuration asks for, or else what is best here.
    pub(super) fn choose(asked: Io) -> Result<Self> {
        match asked {
            Io::ReadWrite => Ok(Self::ReadWrite),
            Io::Uring => {
                tap::Ring::probe().context(
                    "io_uring cannot be had, and the configuration says `io: io_uring`; it needs Linux 6.7, \
                     and a container or the sysctl kernel.io_uring_disabled may forbid it",
                )?;
                Ok(Self::Uring)
            }
            Io::Auto => Ok(Self::best()),
        }
    }

    fn best() -> Self {
        let call = system_call();
        if call <= DEAR {
            tracing::debug!(?call, "system calls are cheap: frames go by read and write");
            return Self::ReadWrite;
        }
        if let Err(error) = tap::Ring::probe() {
            tracing::info!(%error, "io_uring cannot be had: frames go by read and write");
            return Self::ReadWrite;
        }
        tracing::debug!(?call, "system calls are dear: frames go by io_uring");
        Self::Uring
    }
}

/// How long a system call that does next to nothing takes.
fn system_call() -> Duration {
    let measure = || {
        let start = Instant::now();
        for _ in 0..CALLS {
            std::hint::black_box(rustix::process::getppid());
        }
        start.elapsed() / CALLS
    };
    (0..MEASUREMENTS)
        .map(|_| measure())
        .min()
        .unwrap_or_default()
}
