//! A value on its way from a record to a file.

use crate::digits::{push_address, push_id, push_number, push_word};
use packet::Mac;
use std::net::IpAddr;
use uuid::Uuid;

/// One value, borrowed from its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Datum<'a> {
    None,
    Number(i64),
    Flag(bool),
    Id(Uuid),
    Address(IpAddr),
    Mac(Mac),
    Word(&'a str),
}

impl Datum<'_> {
    /// Appends it as text; nothing for [`Self::None`].
    #[inline(always)]
    pub(crate) fn push(self, out: &mut Vec<u8>) {
        match self {
            Self::None => (),
            Self::Number(number) => {
                if number < 0 {
                    out.push(b'-');
                }
                push_number(out, number.unsigned_abs());
            }
            Self::Flag(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
            Self::Id(id) => push_id(out, id),
            Self::Address(address) => push_address(out, address),
            Self::Mac(mac) => out.extend_from_slice(mac.to_string().as_bytes()),
            Self::Word(word) => push_word(out, word),
        }
    }
}

macro_rules! from_numbers {
    ($($number:ty)+) => { $(
        impl From<$number> for Datum<'_> {
            #[inline]
            fn from(number: $number) -> Self {
                Self::Number(number.into())
            }
        }
    )+ };
}

from_numbers! { i64 u32 u16 u8 }

/// Formats have signed numbers; a count beyond 2⁶³ is taken as that.
impl From<u64> for Datum<'_> {
    #[inline]
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Datum<'_> {
    #[inline]
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// The nil id is none.
impl From<Uuid> for Datum<'_> {
    #[inline]
    fn from(id: Uuid) -> Self {
        if id.is_nil() {
            Self::None
        } else {
            Self::Id(id)
        }
    }
}

impl From<IpAddr> for Datum<'_> {
    #[inline]
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl From<Mac> for Datum<'_> {
    #[inline]
    fn from(mac: Mac) -> Self {
        Self::Mac(mac)
    }
}

/// The empty word is none.
impl<'a> From<&'a str> for Datum<'a> {
    #[inline]
    fn from(word: &'a str) -> Self {
        if word.is_empty() {
            Self::None
        } else {
            Self::Word(word)
        }
    }
}

impl<'a, T: Into<Datum<'a>>> From<Option<T>> for Datum<'a> {
    #[inline]
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}
