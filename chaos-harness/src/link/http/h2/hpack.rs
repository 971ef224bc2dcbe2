//! Header compression: following it, and doing without it.

use bytes::{Bytes, BytesMut};
use loona_hpack::Decoder;

/// Largest dynamic table that is followed, in bytes.
const TABLE: usize = 1 << 20;

/// Most that the headers of one message may take, in bytes.
const FIELDS: usize = 512 << 10;

/// What is not HTTP/2, or more than is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Name and value.
pub(super) type Field = (Vec<u8>, Vec<u8>);

/// The header compression of one way.
pub(super) struct Hpack {
    decoder: Decoder<'static>,
    /// The receiver's table is no longer the sender's, since a block was left out, changed or moved: blocks must not
    /// refer to it any more.
    literal: bool,
    /// Changes of the table's size that the receiver has not been told of.
    updates: Vec<u8>,
}

impl Hpack {
    pub(super) fn new() -> Self {
        let mut decoder = Decoder::new();
        decoder.set_max_allowed_table_size(TABLE);
        Self { decoder, literal: false, updates: Vec::new() }
    }

    /// Reads a header block.
    pub(super) fn decode(&mut self, block: &[u8]) -> Result<Vec<Field>, Malformed> {
        let (mut fields, mut size) = (Vec::new(), 0);
        let read = self.decoder.decode_with_cb(block, |name, value| {
            size += name.len() + value.len() + 32;
            if size <= FIELDS {
                fields.push((name.into_owned(), value.into_owned()));
            }
        });
        if read.is_err() || size > FIELDS {
            return Err(Malformed);
        }
        let updates = size_updates(block);
        if updates > 0 {
            self.updates = block[..updates].to_vec();
        }
        Ok(fields)
    }

    /// Whether blocks have to be written anew.
    pub(super) fn is_literal(&self) -> bool {
        self.literal
    }

    /// The latest block does not pass as it came.
    pub(super) fn leave(&mut self) {
        self.literal = true;
    }

    /// The latest block passes as it came.
    pub(super) fn passed(&mut self) {
        self.updates.clear();
    }

    /// Writes a block that refers to no table.
    pub(super) fn encode(&mut self, fields: &[Field]) -> Bytes {
        self.literal = true;
        let mut block = BytesMut::from(&std::mem::take(&mut self.updates)[..]);
        block.extend_from_slice(&literal(fields.iter().map(|(name, value)| (&name[..], &value[..]))));
        block.freeze()
    }
}

/// A block of literals, which neither reads nor changes any table.
pub(super) fn literal<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Bytes {
    let mut block = BytesMut::new();
    for (name, value) in fields {
        block.extend_from_slice(&[0]);
        string(&mut block, name);
        string(&mut block, value);
    }
    block.freeze()
}

fn string(block: &mut BytesMut, text: &[u8]) {
    let mut rest = text.len();
    if rest < 127 {
        block.extend_from_slice(&[rest as u8]);
    } else {
        block.extend_from_slice(&[127]);
        rest -= 127;
        while rest >= 128 {
            block.extend_from_slice(&[rest as u8 | 128]);
            rest >>= 7;
        }
        block.extend_from_slice(&[rest as u8]);
    }
    block.extend_from_slice(text);
}

/// How many bytes at the beginning of a block change the table's size.
fn size_updates(block: &[u8]) -> usize {
    let mut at = 0;
    while block.get(at).is_some_and(|byte| byte & 0xe0 == 0x20) {
        let long = block[at] & 0x1f == 0x1f;
        at += 1;
        if long {
            let more = block[at..].iter().take_while(|byte| **byte & 128 != 0).count();
            at = (at + more + 1).min(block.len());
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_anew_reads_the_same() {
        let fields: Vec<Field> = [(":status", 3), ("x", 0), ("y", 126), ("z", 127), ("long", 20_000)]
            .map(|(name, len)| (name.as_bytes().to_vec(), vec![b'v'; len]))
            .to_vec();
        let block = Hpack::new().encode(&fields);
        assert_eq!(Hpack::new().decode(&block), Ok(fields));
    }

    #[test]
    fn changes_of_the_table_are_passed_on() {
        let mut hpack = Hpack::new();
        // The table shrinks to nothing, then grows to 100 bytes; `:method: GET`.
        hpack.decode(&[0x20, 0x3f, 0x45, 0x82]).unwrap();
        let block = hpack.encode(&[(b"a".to_vec(), b"b".to_vec())]);
        assert_eq!(&block[..], [0x20, 0x3f, 0x45, 0, 1, b'a', 1, b'b']);
        assert_eq!(hpack.encode(&[]).len(), 0);
    }

    #[test]
    fn a_small_block_cannot_become_a_large_list() {
        let mut hpack = Hpack::new();
        let mut block = vec![0x40, 1, b'a'];
        let mut value = BytesMut::new();
        string(&mut value, &[b'v'; 3000]);
        block.extend_from_slice(&value);
        block.extend([0xbe; 10_000]);
        assert_eq!(hpack.decode(&block), Err(Malformed));
    }
}
