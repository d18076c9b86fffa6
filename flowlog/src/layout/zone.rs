//! The time zone of names.

use jiff::{Timestamp, tz::TimeZone};

/// A time zone by its IANA name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// Why a time zone is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a time zone of this system; write an IANA name such as UTC or Asia/Seoul (package tzdata)"
)]
pub struct ZoneError(String);

/// A moment by the clock on the wall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i16,
    pub(super) month: i8,
    pub(super) day: i8,
    pub(super) hour: i8,
    pub(super) minute: i8,
    pub(super) second: i8,
    /// `Z` or the zone's abbreviation at that moment, such as `KST`.
    pub(super) zone: String,
    /// The same as a number: UNIX seconds plus the zone's offset.
    pub(super) civil_s: i64,
}

impl Zone {
    /// UTC, written `Z`.
    #[must_use]
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// A time zone by its IANA name.
    ///
    /// # Errors
    /// [`ZoneError`] where the system's database has none of that name.
    pub fn parse(name: &str) -> Result<Self, ZoneError> {
        if name == "UTC" {
            return Ok(Self::utc());
        }
        TimeZone::get(name)
            .map(Self)
            .map_err(|_| ZoneError(name.to_owned()))
    }

    /// A UNIX second by this zone's clock, as the number that the memory of names goes by.
    pub(crate) fn civil_s(&self, unix_s: u64) -> i64 {
        self.civil(unix_s).civil_s
    }

    /// A UNIX second by this zone's clock; what lies beyond the year 9999 is taken as its end.
    pub(super) fn civil(&self, unix_s: u64) -> Civil {
        let moment = i64::try_from(unix_s)
            .ok()
            .and_then(|s| Timestamp::from_second(s).ok());
        let moment = moment.unwrap_or(Timestamp::MAX);
        let info = self.0.to_offset_info(moment);
        let at = info.offset().to_datetime(moment);
        let zone = if self.0 == TimeZone::UTC {
            "Z"
        } else {
            info.abbreviation()
        };
        Civil {
            year: at.year(),
            month: at.month(),
            day: at.day(),
            hour: at.hour(),
            minute: at.minute(),
            second: at.second(),
            zone: zone.to_owned(),
            civil_s: moment.as_second() + i64::from(info.offset().seconds()),
        }
    }
}
