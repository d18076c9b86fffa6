//! Rates and times for people.

use std::time::Duration;

/// A number per second, with the unit that keeps it short: `0`, `12`, `9.8k`, `1.2G`; `-` where nothing
/// was measured yet.
pub(super) fn rate(per_second: Option<f64>) -> String {
    const UNITS: [&str; 4] = ["k", "M", "G", "T"];
    let Some(mut number) = per_second else {
        return "-".to_owned();
    };
    // What is less than one a second is no nothing.
    if number > 0.0 && number < 1.0 {
        return format!("{number:.1}");
    }
    if number < 999.5 {
        return format!("{number:.0}");
    }
    let mut unit = "";
    for larger in UNITS {
        // What would be written as a thousand belongs to the next unit.
        if !unit.is_empty() && number < 999.95 {
            break;
        }
        number /= 1000.0;
        unit = larger;
    }
    format!("{number:.1}{unit}")
}

/// `42s`, `3m 02s`, `5h 00m`, `12d 4h`.
pub(super) fn length(of: Duration) -> String {
    let seconds = of.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_short_whatever_they_are() {
        for (number, text) in [
            (0.0, "0"),
            (0.2, "0.2"),
            (12.4, "12"),
            (999.0, "999"),
            (999.9, "1.0k"),
            (9_840.0, "9.8k"),
            (999_990.0, "1.0M"),
            (1.2e9, "1.2G"),
            (5.0e15, "5000.0T"),
        ] {
            assert_eq!(rate(Some(number)), text);
        }
        assert_eq!(rate(None), "-");
    }

    #[test]
    fn lengths_have_two_units() {
        for (seconds, text) in [
            (42, "42s"),
            (182, "3m 02s"),
            (18_000, "5h 00m"),
            (1_051_200, "12d 4h"),
        ] {
            assert_eq!(length(Duration::from_secs(seconds)), text);
        }
    }
}
