//! Names and values as they are sent, read only when somebody asks.

use bytes::{Bytes, BytesMut};

use super::table::STATIC;
use super::{Reader, huffman};
use crate::link::http::Unread;

/// A name or a value.
#[derive(Clone, Debug)]
pub(super) enum Text {
    /// The name of an entry of the static table, by its index.
    Name(u8),
    /// The value of an entry of the static table, by its index.
    Value(u8),
    /// As it was sent: its length, and whether the Huffman code is used, come first.
    Sent(Bytes),
}

impl Text {
    /// The content of what was sent, and whether the Huffman code is used.
    fn content(sent: &Bytes) -> Result<(&[u8], bool), Unread> {
        let mut reader = Reader::new(sent);
        let coded = sent.first().is_some_and(|byte| byte & 0x80 != 0);
        let length = reader.integer(7)?;
        Ok((reader.take(length)?, coded))
    }

    fn in_table(&self) -> &'static [u8] {
        match self {
            Self::Name(index) => STATIC[usize::from(*index) - 1].0.as_bytes(),
            Self::Value(index) => STATIC[usize::from(*index) - 1].1.as_bytes(),
            Self::Sent(_) => b"",
        }
    }

    /// Adds it to `out`, decoded.
    pub(super) fn read(&self, out: &mut Vec<u8>) -> Result<(), Unread> {
        let Self::Sent(sent) = self else {
            out.extend_from_slice(self.in_table());
            return Ok(());
        };
        match Self::content(sent)? {
            (coded, true) => huffman::decode(coded, |byte| out.push(byte)),
            (plain, false) => {
                out.extend_from_slice(plain);
                Ok(())
            }
        }
    }

    /// How long it is, decoded.
    pub(super) fn len(&self) -> Result<usize, Unread> {
        let Self::Sent(sent) = self else { return Ok(self.in_table().len()) };
        let (content, coded) = Self::content(sent)?;
        if !coded {
            return Ok(content.len());
        }
        let mut length = 0;
        huffman::decode(content, |_| length += 1)?;
        Ok(length)
    }

    /// The least that it can be long, decoded: no code is longer than 30 bits.
    pub(super) fn at_least(&self) -> usize {
        if let Self::Sent(sent) = self { sent.len().saturating_sub(6) * 8 / 30 } else { 0 }
    }

    /// Whether it is `name`, which is in lower case.
    pub(super) fn is(&self, name: &str) -> bool {
        let mut own = Vec::new();
        self.read(&mut own).is_ok() && own.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Writes it as a string by itself.
    pub(super) fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Sent(sent) => out.extend_from_slice(sent),
            Self::Name(_) | Self::Value(_) => string(out, self.in_table()),
        }
    }
}

/// Writes `text` without the Huffman code.
pub(super) fn string(out: &mut BytesMut, text: &[u8]) {
    integer(out, 0, 7, text.len());
    out.extend_from_slice(text);
}

/// Writes a number behind the first bits of `first`: RFC 7541, 5.1.
pub(super) fn integer(out: &mut BytesMut, first: u8, bits: u8, n: usize) {
    let most = (1_usize << bits) - 1;
    if n < most {
        return out.extend_from_slice(&[first | n as u8]);
    }
    out.extend_from_slice(&[first | most as u8]);
    let mut rest = n - most;
    while rest >= 128 {
        out.extend_from_slice(&[rest as u8 | 128]);
        rest >>= 7;
    }
    out.extend_from_slice(&[rest as u8]);
}
