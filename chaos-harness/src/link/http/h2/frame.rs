//! The frames of HTTP/2: reading and making them.

use bytes::{BufMut, Bytes, BytesMut};

use crate::link::http::Unread;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY_FRAME: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const PRIORITY_UPDATE: u8 = 16;

/// The bits of a number of a stream.
pub(super) const STREAM: u32 = u32::MAX >> 1;

/// Of `SETTINGS`: it acknowledges those of the other end.
pub(super) const ACK: u8 = 0x1;
/// A setting: the largest table of the header compression.
pub(super) const HEADER_TABLE_SIZE: u16 = 1;
/// A setting: the window of each stream.
pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;

pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
pub(super) const PRIORITY: u8 = 0x20;

/// Error codes of `RST_STREAM`.
pub(super) const NO_ERROR: u32 = 0;
pub(super) const INTERNAL_ERROR: u32 = 2;
pub(super) const CANCEL: u32 = 8;

/// Length of a frame's header.
pub(super) const HEADER: usize = 9;

/// Largest payload that every peer takes.
const PAYLOAD: usize = 16384;

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Of the payload.
    pub(super) len: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Header {
    /// Reads it; `None` when there is not enough of it.
    pub(super) fn read(data: &[u8]) -> Option<Self> {
        let data = data.first_chunk::<HEADER>()?;
        let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
        let stream = number(&data[5..]) & STREAM;
        Some(Self { len: number(&data[..3]) as usize, kind: data[3], flags: data[4], stream })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_uint(self.len as u64, 3);
        out.put_u8(self.kind);
        out.put_u8(self.flags);
        out.put_u32(self.stream);
    }
}

/// A frame of these parts.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER + payload.len());
    Header { len: payload.len(), kind, flags, stream }.write(&mut out);
    out.put_slice(payload);
    out.freeze()
}

/// The frames of a header block: the first one of `kind` with `prefix` before the block, then as many as it takes.
pub(super) fn header_frames(kind: u8, flags: u8, stream: u32, prefix: &[u8], block: &[u8]) -> Bytes {
    let mut rest = [prefix, block].concat();
    let (mut out, mut kind, mut flags) = (BytesMut::new(), kind, flags & !(END_HEADERS | PADDED));
    loop {
        let later = rest.split_off(rest.len().min(PAYLOAD));
        let last = if later.is_empty() { END_HEADERS } else { 0 };
        out.put(frame(kind, flags | last, stream, &rest));
        if later.is_empty() {
            return out.freeze();
        }
        (rest, kind, flags) = (later, CONTINUATION, 0);
    }
}

/// Lets a peer send `n` more bytes; 0 stands for all streams together.
pub(super) fn window_update(stream: u32, n: usize) -> Bytes {
    frame(WINDOW_UPDATE, 0, stream, &(n as u32).to_be_bytes())
}

pub(super) fn reset(stream: u32, error: u32) -> Bytes {
    frame(RST_STREAM, 0, stream, &error.to_be_bytes())
}

/// Where in the frame its content is, behind the header and any padding length and before the padding.
pub(super) fn content(header: Header, frame: &[u8]) -> Result<std::ops::Range<usize>, Unread> {
    if !header.has(PADDED) {
        return Ok(HEADER..frame.len());
    }
    let padding = usize::from(*frame.get(HEADER).ok_or(Unread::Malformed)?);
    let end = frame.len().checked_sub(padding).filter(|end| *end > HEADER).ok_or(Unread::Malformed)?;
    Ok(HEADER + 1..end)
}

/// Puts another number into a frame.
pub(super) fn set_stream(frame: &mut [u8], stream: u32) {
    if let Some(place) = frame.get_mut(5..HEADER) {
        place.copy_from_slice(&stream.to_be_bytes());
    }
}

/// What a `SETTINGS` frame says of one setting.
pub(super) fn setting(frame: &[u8], wanted: u16) -> Option<u32> {
    let mut settings = frame.get(HEADER..)?.chunks_exact(6).rev();
    let read = |setting: &[u8]| {
        let (id, value) = (setting.first_chunk()?, setting.last_chunk()?);
        (u16::from_be_bytes(*id) == wanted).then(|| u32::from_be_bytes(*value))
    };
    settings.find_map(read)
}

/// By how much a `WINDOW_UPDATE` frame opens a window.
pub(super) fn window(frame: &[u8]) -> Option<u32> {
    frame.get(HEADER..)?.first_chunk().map(|word| u32::from_be_bytes(*word) & STREAM)
}
