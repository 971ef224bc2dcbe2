//! Numbers and strings in a header block.

use bytes::Bytes;

use crate::link::http::Unread;

/// Walks over a block.
pub(super) struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.data.get(self.at).copied()
    }

    /// A number behind the first bits of a byte: RFC 7541, 5.1.
    pub(super) fn integer(&mut self, bits: u8) -> Result<usize, Unread> {
        let most = (1_usize << bits) - 1;
        let mut n = usize::from(self.next()?) & most;
        if n < most {
            return Ok(n);
        }
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.next()?;
            n += usize::from(byte & 127) << shift;
            if byte & 128 == 0 {
                return Ok(n);
            }
        }
        Err(Unread::Malformed)
    }

    pub(super) fn next(&mut self) -> Result<u8, Unread> {
        let byte = self.peek().ok_or(Unread::Malformed)?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], Unread> {
        let end = self.at.checked_add(n).ok_or(Unread::Malformed)?;
        let taken = self.data.get(self.at..end).ok_or(Unread::Malformed)?;
        self.at = end;
        Ok(taken)
    }

    /// A string with its length, out of `block`, over which it walks.
    pub(super) fn string(&mut self, block: &Bytes) -> Result<Bytes, Unread> {
        let from = self.at;
        let length = self.integer(7)?;
        self.take(length)?;
        Ok(block.slice(from..self.at))
    }
}
