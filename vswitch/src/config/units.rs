//! Quantities with units: intervals and sizes.

use std::fmt;
use std::str::FromStr;

/// A number of bytes. Text form: `1GiB`, `512MiB`, `65536`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ByteSize(pub(super) u64);

/// Units from the greatest, each with its bytes as a power of two.
const BYTE_UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

/// What is wrong with the text of a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a size; write bytes, or a whole number with KiB, MiB, GiB or TiB, as 1GiB", .0.escape_debug())]
pub(super) struct SizeSyntax(String);

impl FromStr for ByteSize {
    type Err = SizeSyntax;

    fn from_str(text: &str) -> Result<Self, SizeSyntax> {
        let with_unit = BYTE_UNITS
            .iter()
            .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
        let (digits, shift) = with_unit.unwrap_or((text, 0));
        let number =
            whole_number(digits.trim_end()).and_then(|number| number.checked_mul(1 << shift));
        number.map(Self).ok_or_else(|| SizeSyntax(text.to_owned()))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = BYTE_UNITS
            .iter()
            .find(|(_, shift)| self.0 != 0 && self.0.is_multiple_of(1 << shift));
        match fits {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Digits alone: `parse` would take a sign.
fn whole_number(digits: &str) -> Option<u64> {
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}

/// Whole seconds. Text form: `60s`, `15m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seconds(pub(super) u32);

/// What is wrong with the text of an interval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not an interval; write whole seconds or minutes with their unit, as 60s or 5m", .0.escape_debug())]
pub(super) struct IntervalSyntax(String);

impl FromStr for Seconds {
    type Err = IntervalSyntax;

    fn from_str(text: &str) -> Result<Self, IntervalSyntax> {
        let with_unit = [("s", 1), ("m", 60), ("h", 3600)]
            .iter()
            .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
        with_unit
            .and_then(|(digits, factor)| {
                u32::try_from(whole_number(digits)?.checked_mul(factor)?).ok()
            })
            .map(Self)
            .ok_or_else(|| IntervalSyntax(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_round_trip_through_their_text() {
        for text in ["1GiB", "512MiB", "65537", "3KiB", "0"] {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
        }
        for wrong in ["", "GiB", "-1", "+1KiB", "1GB", "1.5GiB", "99999999999TiB"] {
            assert!(wrong.parse::<ByteSize>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn intervals_are_whole_seconds_with_a_unit() {
        assert_eq!("15m".parse(), Ok(Seconds(900)));
        assert_eq!("60s".parse(), Ok(Seconds(60)));
        for wrong in ["", "60", "s", "1.5s", "-1s", "1500ms", "99999999999s"] {
            assert!(wrong.parse::<Seconds>().is_err(), "{wrong}");
        }
    }
}
