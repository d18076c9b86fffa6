//! `vswitch top`: what goes on, second by second.
//!
//! ```text
//!   control socket ──▶ Sample ──▶ History: the difference of two ──▶ Frame ─┬─▶ screen (view.rs, screen.rs)
//!                                                                           └─▶ text: --once, no terminal
//! ```
//! A frame is the same whoever shows it. **Limits**: the constants in `sample.rs` and `history.rs`; what
//! they leave out is told. **Failure**: a daemon that ends leaves the last frame and a line that says so.

mod frame;
mod history;
mod sample;
mod screen;
mod units;
mod view;

use super::args::TopArgs;
use super::output::Output;
use anyhow::Result;
use frame::{Frame, Sort};
use history::History;
use sample::Sample;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Shows frames until the user has seen enough; one frame where nobody looks.
pub(super) fn top(args: &TopArgs) -> Result<ExitCode> {
    let interval = Duration::from_secs(args.interval);
    let mut history = History::new(Sample::take(&args.socket)?);
    if args.once || !std::io::stdout().is_terminal() {
        std::thread::sleep(interval);
        history.add(Sample::take(&args.socket)?);
        let mut out = Output::stdout();
        Frame::of(&history, Sort::default()).write(&mut out)?;
        out.flush()?;
    } else {
        screen::show(&args.socket, interval, history)?;
    }
    Ok(ExitCode::SUCCESS)
}
