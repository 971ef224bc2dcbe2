//! The Huffman code of header compression: RFC 7541, appendix B.

use crate::link::http::Unread;

/// How many bits each byte takes, and behind them the end of the string, which is never sent. The code is canonical, so
/// that the lengths tell the codes.
#[rustfmt::skip]
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28,
    28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6,
    12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15,
    5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20,
    22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22,
    23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26,
    27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

const SYMBOLS: usize = 257;
const END: u16 = 256;
const LONGEST: usize = 30;

/// The code, ready to be read.
struct Code {
    /// By the next eight bits: a symbol and its length; length 0 where the symbol takes more bits.
    short: [(u8, u8); 256],
    /// All symbols in the order of their codes.
    symbols: [u16; SYMBOLS],
    /// By length: the first code, and where in `symbols` its symbol is.
    first: [(u32, u16); LONGEST + 1],
    /// By length: what all codes up to this length are below, as 32 bits with the code in front.
    limit: [u64; LONGEST + 1],
}

static CODE: Code = Code::new();

impl Code {
    const fn new() -> Self {
        let mut code =
            Self { short: [(0, 0); 256], symbols: [0; SYMBOLS], first: [(0, 0); LONGEST + 1], limit: [0; LONGEST + 1] };
        let (mut next, mut index, mut length) = (0_u32, 0, 1);
        while length <= LONGEST {
            next <<= 1;
            code.first[length] = (next, index as u16);
            let mut symbol = 0;
            while symbol < SYMBOLS {
                if LENGTHS[symbol] as usize == length {
                    code.symbols[index] = symbol as u16;
                    let mut rest = 0;
                    while length <= 8 && rest < 1 << (8 - length) {
                        code.short[((next as usize) << (8 - length)) + rest] = (symbol as u8, length as u8);
                        rest += 1;
                    }
                    index += 1;
                    next += 1;
                }
                symbol += 1;
            }
            code.limit[length] = (next as u64) << (32 - length);
            length += 1;
        }
        code
    }

    /// The symbol with which `bits` begin, and its length.
    fn next(&self, bits: u64) -> (u16, u32) {
        let (symbol, length) = self.short[(bits >> 56) as usize];
        if length > 0 {
            return (u16::from(symbol), u32::from(length));
        }
        let head = bits >> 32;
        let length = (9..LONGEST).find(|length| head < self.limit[*length]).unwrap_or(LONGEST);
        let (first, index) = self.first[length];
        let nth = (head >> (32 - length)) as u32 - first;
        (self.symbols[usize::from(index) + nth as usize], length as u32)
    }
}

/// Reads `coded`, byte after byte.
pub(super) fn decode(coded: &[u8], mut put: impl FnMut(u8)) -> Result<(), Unread> {
    let (mut bits, mut have) = (0_u64, 0_u32);
    let mut rest = coded;
    loop {
        if let Some(word) = rest.first_chunk::<4>().filter(|_| have <= 32) {
            bits |= u64::from(u32::from_be_bytes(*word)) << (32 - have);
            (have, rest) = (have + 32, &rest[4..]);
        }
        while let Some((byte, behind)) = rest.split_first().filter(|_| have <= 56 && rest.len() < 4) {
            bits |= u64::from(*byte) << (56 - have);
            (have, rest) = (have + 8, behind);
        }
        // The end is all ones, and less than a byte of it fills the last byte.
        let (symbol, length) = CODE.next(bits | u64::MAX.checked_shr(have).unwrap_or(0));
        if length > have {
            return if symbol == END && have < 8 { Ok(()) } else { Err(Unread::Malformed) };
        }
        if symbol == END {
            return Err(Unread::Malformed);
        }
        put(symbol as u8);
        bits <<= length;
        have -= length;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The other way, bit by bit.
    fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits = String::new();
        for byte in text {
            let index = CODE.symbols.iter().position(|symbol| *symbol == u16::from(*byte)).unwrap();
            let length = usize::from(LENGTHS[usize::from(*byte)]);
            let (first, from) = CODE.first[length];
            bits += &format!("{:0length$b}", first as usize + index - usize::from(from));
        }
        bits += &"1".repeat(bits.len().next_multiple_of(8) - bits.len());
        bits.as_bytes()
            .chunks(8)
            .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
            .collect()
    }

    fn read(coded: &[u8]) -> Result<Vec<u8>, Unread> {
        let mut text = Vec::new();
        decode(coded, |byte| text.push(byte)).map(|()| text)
    }

    #[test]
    fn the_examples_of_the_standard() {
        for (coded, text) in [
            (&[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff][..], "www.example.com"),
            (&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], "no-cache"),
            (&[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf], "custom-value"),
            (&[0x64, 0x02], "302"),
            (&[], ""),
        ] {
            assert_eq!(read(coded).as_deref(), Ok(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn wrong_padding_and_the_end_are_errors() {
        for coded in [&[0xff][..], &[0x00], &[0x64, 0x02, 0xff], &[0xff, 0xff, 0xff, 0xff], &[0xff, 0xff, 0xff, 0xfc]] {
            assert_eq!(read(coded), Err(Unread::Malformed), "{coded:x?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_encoded_reads_the_same(text in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(read(&encode(&text)), Ok(text));
        }

        #[test]
        fn another_implementation_reads_the_same(coded in prop::collection::vec(any::<u8>(), 0..40), text in "[ -~]{0,60}") {
            for coded in [coded, encode(text.as_bytes())] {
                let mut theirs = loona_hpack::huffman::HuffmanDecoder::new();
                if let Ok(text) = theirs.decode(&coded) {
                    prop_assert_eq!(read(&coded), Ok(text));
                }
            }
        }
    }
}
