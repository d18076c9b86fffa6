//! Spans of time aligned to multiples of their length since the epoch, `[start, end)`.

/// A window or an interval. All loggers of a switch share one base window; a logger's interval is a
/// multiple of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    /// First second, UNIX time; a multiple of the length.
    pub start_s: u64,
    /// Seconds; at least 1.
    pub length_s: u32,
}

impl Window {
    /// The window of `length_s` seconds (0 is taken as 1) that holds the moment `now_s`.
    #[must_use]
    pub fn of(now_s: u64, length_s: u32) -> Self {
        let length_s = length_s.max(1);
        Self {
            start_s: now_s - now_s % u64::from(length_s),
            length_s,
        }
    }

    /// First second behind the window.
    #[must_use]
    pub fn end_s(self) -> u64 {
        self.start_s.saturating_add(u64::from(self.length_s))
    }

    /// Whether a moment lies within.
    #[must_use]
    pub fn contains(self, moment_s: u64) -> bool {
        (self.start_s..self.end_s()).contains(&moment_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_its_start_and_not_its_end() {
        let window = Window::of(1_732_320_059, 60);
        assert_eq!(
            window,
            Window {
                start_s: 1_732_320_000,
                length_s: 60
            }
        );
        assert!(window.contains(1_732_320_000) && window.contains(1_732_320_059));
        assert!(!window.contains(window.end_s()));
        assert_eq!(Window::of(window.end_s(), 60).start_s, window.end_s());
    }

    #[test]
    fn a_window_without_length_is_a_second() {
        assert_eq!(
            Window::of(7, 0),
            Window {
                start_s: 7,
                length_s: 1
            }
        );
        assert_eq!(Window::of(u64::MAX, 60).end_s(), u64::MAX);
    }
}
