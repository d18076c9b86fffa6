//! Values of filters: an address or a prefix, a moment.

use ipnet::IpNet;
use jiff::Timestamp;
use std::net::IpAddr;
use std::str::FromStr;

/// `10.77.1.11` or `10.77.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix(pub IpNet);

impl Prefix {
    /// Whether an address lies in it.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.parse::<IpAddr>().map(IpNet::from);
        let prefix = address.ok().or_else(|| text.parse::<IpNet>().ok());
        let prefix = prefix.ok_or_else(|| {
            format!("`{text}` is neither an address nor a prefix; write 10.77.1.11 or 10.77.0.0/16")
        })?;
        Ok(Self(prefix.trunc()))
    }
}

/// A moment, UNIX seconds: `1732320000`, `2026-11-23T05:00:00Z`, or `10m` for ten minutes ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub u64);

impl Moment {
    /// Reads a moment; `now_s` is what "ago" counts from.
    ///
    /// # Errors
    /// A text that names no moment, with what would.
    pub(super) fn parse(text: &str, now_s: u64) -> Result<Self, String> {
        if let Ok(seconds) = text.parse() {
            return Ok(Self(seconds));
        }
        if let Some(ago_s) = seconds_ago(text) {
            return Ok(Self(now_s.saturating_sub(ago_s)));
        }
        let stamp: Option<Timestamp> = text.parse().ok();
        let seconds = stamp.and_then(|stamp| u64::try_from(stamp.as_second()).ok());
        seconds.map(Self).ok_or_else(|| {
            format!("`{text}` is no moment; write UNIX seconds, 2026-11-23T05:00:00Z, or how long ago as in 30s, 10m, 2h, 1d")
        })
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let now = Timestamp::now().as_second();
        Self::parse(text, u64::try_from(now).unwrap_or_default())
    }
}

fn seconds_ago(text: &str) -> Option<u64> {
    let unit = text.chars().next_back()?;
    let length_s = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let number: u64 = text[..text.len() - 1].parse().ok()?;
    number.checked_mul(length_s)
}

/// A moment for people, in UTC: `2026-11-23 05:00:07`.
#[must_use]
pub(super) fn utc(seconds: u64) -> String {
    let stamp = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    stamp.map_or_else(
        || seconds.to_string(),
        |stamp| stamp.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_prefix_of_one_and_host_bits_do_not_matter() {
        let one: Prefix = "10.77.1.11".parse().unwrap();
        assert!(
            one.contains("10.77.1.11".parse().unwrap())
                && !one.contains("10.77.1.12".parse().unwrap())
        );
        let many: Prefix = "10.77.1.11/16".parse().unwrap();
        assert!(
            many.contains("10.77.200.1".parse().unwrap()) && !many.contains("::1".parse().unwrap())
        );
        assert!("10.77".parse::<Prefix>().is_err());
    }

    #[test]
    fn moments_are_seconds_dates_or_ago() {
        let parse = |text| Moment::parse(text, 100_000).map(|moment| moment.0);
        assert_eq!(parse("1732320000"), Ok(1_732_320_000));
        assert_eq!(parse("10m"), Ok(99_400));
        assert_eq!(parse("9d"), Ok(0));
        assert_eq!(parse("2024-11-23T00:00:00Z"), Ok(1_732_320_000));
        for wrong in ["", "m", "yesterday", "1w", "99999999999999999999d", "é"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(utc(1_732_320_007), "2024-11-23 00:00:07");
    }
}
