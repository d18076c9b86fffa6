//! The terminal: drawn every interval, given back as it was however the program ends.

use super::frame::{Frame, Sort};
use super::history::History;
use super::sample::Sample;
use super::view;
use crate::cli::style::Paint;
use crate::cli::table::Cell;
use anyhow::{Context as _, Result};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGTERM};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest wait for a key: a signal is noticed that late.
const PATIENCE: Duration = Duration::from_millis(200);

/// Gives the terminal back, also where a panic or an error ends the program.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// What the keys have set.
#[derive(Debug, Default)]
struct State {
    sort: Sort,
    is_paused: bool,
    /// Why there is no newer sample.
    trouble: Option<String>,
}

/// What follows from a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Press {
    Quit,
    Changed,
    Nothing,
}

/// Shows frames until the user or a signal ends it.
///
/// # Errors
/// A terminal that cannot be drawn to.
pub(super) fn show(socket: &Path, interval: Duration, mut history: History) -> Result<()> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&ended))?;
    }
    let restore = Restore;
    // With it comes a hook that gives the terminal back before a panic is told.
    let mut terminal = ratatui::try_init().context("cannot draw on this terminal; try --once")?;
    let mut state = State::default();
    let mut due = Instant::now() + interval;
    let mut frame = Frame::of(&history, state.sort);
    while !ended.load(Ordering::Relaxed) {
        let bottom = state.bottom();
        terminal.draw(|screen| view::draw(screen, &frame, &bottom))?;
        let wait = due.saturating_duration_since(Instant::now());
        match pressed(wait.min(PATIENCE))?.map(|key| state.press(key)) {
            Some(Press::Quit) => break,
            Some(Press::Changed) => frame = Frame::of(&history, state.sort),
            Some(Press::Nothing) | None => {}
        }
        if Instant::now() >= due {
            due = Instant::now() + interval;
            if !state.is_paused {
                state.take(socket, &mut history);
                frame = Frame::of(&history, state.sort);
            }
        }
    }
    drop(restore);
    Ok(())
}

/// The next key, if there is one in time. A new size of the terminal ends the waiting: the drawing finds it.
fn pressed(wait: Duration) -> io::Result<Option<KeyEvent>> {
    let is_there = match event::poll(wait) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => false,
        polled => polled?,
    };
    if !is_there {
        return Ok(None);
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(key),
        _ => None,
    })
}

impl State {
    fn press(&mut self, key: KeyEvent) -> Press {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => Press::Quit,
            // In raw mode these are keys and no signals.
            KeyCode::Char('c' | 'd') if is_control => Press::Quit,
            KeyCode::Char('s') => {
                self.sort = self.sort.next();
                Press::Changed
            }
            KeyCode::Char('p' | ' ') => {
                self.is_paused = !self.is_paused;
                Press::Changed
            }
            _ => Press::Nothing,
        }
    }

    fn take(&mut self, socket: &Path, history: &mut History) {
        match Sample::take(socket) {
            Ok(sample) => {
                history.add(sample);
                self.trouble = None;
            }
            Err(error) => self.trouble = Some(error.to_string()),
        }
    }

    fn bottom(&self) -> Cell {
        match &self.trouble {
            Some(trouble) => Cell::painted(Paint::Bad, format!("q quit  {trouble}")),
            None if self.is_paused => Cell::painted(Paint::Warn, "PAUSED: p goes on  q quit"),
            None => {
                let text = format!("q quit  s sort by {}  p pause", self.sort.next().word());
                Cell::painted(Paint::Faint, text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_do_what_the_bottom_line_says() {
        let mut state = State::default();
        let key = |code| KeyEvent::new(code, KeyModifiers::NONE);
        assert!(state.bottom().text().contains("s sort by packets/s"));
        assert_eq!(state.press(key(KeyCode::Char('s'))), Press::Changed);
        assert_eq!(state.sort, Sort::Packets);
        assert_eq!(state.press(key(KeyCode::Char('p'))), Press::Changed);
        assert!(state.is_paused && state.bottom().text().contains("PAUSED"));
        assert_eq!(state.press(key(KeyCode::Char('x'))), Press::Nothing);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        for quit in [key(KeyCode::Char('q')), interrupt] {
            assert_eq!(state.press(quit), Press::Quit);
        }
    }

    #[test]
    fn a_daemon_that_ended_is_told_and_q_still_quits() {
        let mut state = State {
            trouble: Some("no daemon answers".to_owned()),
            ..State::default()
        };
        assert_eq!(state.bottom().text(), "q quit  no daemon answers");
        let key = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        assert_eq!(state.press(key), Press::Quit);
    }
}
