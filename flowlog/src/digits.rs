//! Numbers, addresses and ids to text without the formatting machinery, which costs more per row
//! than everything else together.

use std::net::{IpAddr, Ipv4Addr};
use uuid::Uuid;

/// Digits of `u64::MAX`.
const DIGITS_MAX: usize = 20;

/// "00" to "99".
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

/// Appends a number in decimal.
#[inline]
pub(crate) fn push_number(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0; DIGITS_MAX];
    let mut start = DIGITS_MAX;
    while n >= 10 {
        start -= 2;
        digits[start..start + 2].copy_from_slice(&PAIRS[(n % 100) as usize]);
        n /= 100;
    }
    if n > 0 || start == DIGITS_MAX {
        start -= 1;
        digits[start] = b'0' + n as u8;
    }
    out.extend_from_slice(&digits[start..]);
}

/// Appends an address; IPv6 in the form of RFC 5952.
#[inline]
pub(crate) fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => push_ipv4(out, address),
        IpAddr::V6(address) => out.extend_from_slice(address.to_string().as_bytes()),
    }
}

#[inline]
fn push_ipv4(out: &mut Vec<u8>, address: Ipv4Addr) {
    let [a, b, c, d] = address.octets();
    push_number(out, a.into());
    for octet in [b, c, d] {
        out.push(b'.');
        push_number(out, octet.into());
    }
}

/// Appends an id with hyphens; nothing for the nil id.
#[inline]
pub(crate) fn push_id(out: &mut Vec<u8>, id: Uuid) {
    if !id.is_nil() {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        out.extend_from_slice(id.hyphenated().encode_lower(&mut text).as_bytes());
    }
}

/// Appends a word that needs no quoting: what would, becomes `_`.
#[inline]
pub(crate) fn push_word(out: &mut Vec<u8>, word: &str) {
    let start = out.len();
    out.extend_from_slice(word.as_bytes());
    for byte in &mut out[start..] {
        if *byte <= b' ' || matches!(byte, b',' | b'"') {
            *byte = b'_';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_and_addresses_read_as_the_standard_library_writes_them(n: u64, shift in 0..64, ip: [u8; 4]) {
            let n = n >> shift;
            prop_assert_eq!(text(|out| push_number(out, n)), n.to_string());
            prop_assert_eq!(text(|out| push_address(out, ip.into())), IpAddr::from(ip).to_string());
        }
    }

    #[test]
    fn the_ends_of_the_range_are_right() {
        for n in [0, 9, 10, 99, 100, 101, 999, 1000, u64::MAX - 1, u64::MAX] {
            assert_eq!(text(|out| push_number(out, n)), n.to_string());
        }
    }

    #[test]
    fn a_word_never_breaks_a_row_and_a_nil_id_is_empty() {
        assert_eq!(text(|out| push_word(out, "KR 1,\n\"x")), "KR_1___x");
        assert_eq!(text(|out| push_id(out, Uuid::nil())), "");
        let id = Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0);
        assert_eq!(text(|out| push_id(out, id)), id.to_string());
    }

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }
}
