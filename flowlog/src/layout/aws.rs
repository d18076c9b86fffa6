//! The keys of AWS VPC Flow Logs, which its readers walk by date:
//!
//! ```text
//! AWSLogs/{account}/vpcflowlogs/{region}/{year}/{month}/{day}/[{hour}/]
//!   {account}_vpcflowlogs_{region}_{logger}_{yyyymmdd}T{hhmm}Z_{start}-part{n}.log.gz
//! ```
//! Where AWS has a random hash, here stands the interval's start in hexadecimal UNIX seconds: intervals
//! shorter than a minute have names of their own, and a retry has the same. Times are UTC, always.

use super::zone::Civil;
use crate::Account;
use uuid::Uuid;

/// What the keys of a logger have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsKey {
    /// The account.
    pub account: Account,
    /// The region; what may not stand in a name becomes `-`.
    pub region: String,
    /// Whether there is a folder for each hour.
    pub by_hour: bool,
}

impl AwsKey {
    /// The key of an interval, without part and extension.
    pub(super) fn fill(&self, logger: Uuid, start_s: u64, start: &Civil) -> String {
        let Self {
            account, by_hour, ..
        } = self;
        let region: String = self.region.chars().map(plain).collect();
        let (year, month, day) = (start.year, start.month, start.day);
        let (hour, minute) = (start.hour, start.minute);
        let by_hour = if *by_hour {
            format!("{hour:02}/")
        } else {
            String::new()
        };
        format!(
            "AWSLogs/{account}/vpcflowlogs/{region}/{year:04}/{month:02}/{day:02}/{by_hour}\
             {account}_vpcflowlogs_{region}_{logger}_\
             {year:04}{month:02}{day:02}T{hour:02}{minute:02}Z_{start_s:08x}"
        )
    }
}

/// `_` separates the parts of a name.
const fn plain(c: char) -> char {
    if c.is_ascii_alphanumeric() { c } else { '-' }
}
