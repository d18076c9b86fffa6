//! The Internet checksum (RFC 1071): a ones' complement sum that may be taken in any byte order,
//! so it is taken in the machine's, in wide words, and put right at the end.

use std::net::IpAddr;

/// A running ones' complement sum.
///
/// The accumulator cannot overflow: it would take 2³² words of 32 bits, 16 GiB.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum(u64);

impl Sum {
    /// The sum of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(0)
    }

    /// Adds bytes. They count from an even position: only the last piece may have an odd length.
    #[inline]
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<4>();
        let mut sum = self.0;
        for word in words {
            sum += u64::from(u32::from_ne_bytes(*word));
        }
        let mut tail = [0; 4];
        for (to, from) in tail.iter_mut().zip(rest) {
            *to = *from;
        }
        Self(sum + u64::from(u32::from_ne_bytes(tail)))
    }

    /// Adds one 16-bit number.
    #[inline]
    #[must_use]
    pub fn word(self, word: u16) -> Self {
        Self(self.0 + u64::from(word.to_be()))
    }

    /// Adds the pseudo-header of TCP, UDP and ICMPv6 (RFC 9293 section 3.1, RFC 8200 section 8.1).
    #[inline]
    #[must_use]
    pub fn pseudo_header(self, src: IpAddr, dst: IpAddr, protocol: u8, len: usize) -> Self {
        self.address(src)
            .address(dst)
            .word(u16::from(protocol))
            .word((len >> 16) as u16)
            .word(len as u16)
    }

    #[inline]
    fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.bytes(&address.octets()),
            IpAddr::V6(address) => self.bytes(&address.octets()),
        }
    }

    /// The sum without its complement, as a partial checksum holds it.
    #[inline]
    #[must_use]
    pub fn partial(self) -> u16 {
        let mut sum = self.0;
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::from_be(sum as u16)
    }

    /// The checksum to write: the complement of the sum over bytes whose checksum field is zero.
    #[inline]
    #[must_use]
    pub fn finish(self) -> u16 {
        !self.partial()
    }

    /// As [`Self::finish`], but never 0, which in UDP means "none" (RFC 768).
    #[inline]
    #[must_use]
    pub fn finish_nonzero(self) -> u16 {
        match self.finish() {
            0 => 0xffff,
            sum => sum,
        }
    }

    /// Whether bytes that include their checksum field are right.
    #[inline]
    #[must_use]
    pub fn is_right(self) -> bool {
        // What folds to all ones is a multiple of it, and not zero.
        self.0 != 0 && self.0.is_multiple_of(0xffff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1071, section 3.
    #[test]
    fn the_example_of_the_rfc_comes_out() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::new().bytes(&bytes).partial(), 0xddf2);
    }

    #[test]
    fn every_length_agrees_with_the_sum_by_hand() {
        let bytes: Vec<u8> = (0..67u8).map(|i| i.wrapping_mul(151)).collect();
        for len in 0..bytes.len() {
            let mut slow = 0u32;
            for pair in bytes[..len].chunks(2) {
                slow += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            }
            while slow >> 16 != 0 {
                slow = (slow & 0xffff) + (slow >> 16);
            }
            assert_eq!(
                u32::from(Sum::new().bytes(&bytes[..len]).partial()),
                slow,
                "{len} bytes"
            );
        }
    }
}
