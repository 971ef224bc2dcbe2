//! Where reads go first, and how a full buffer goes on without a copy.
//!
//! Buffers are used again: memory fresh from the system costs more to touch than the bytes cost to move.

use std::cell::RefCell;

use bytes::Bytes;
use parking_lot::Mutex;

/// Size of a buffer, in bytes: large enough to make system calls cheap, small enough to stay in the cache.
pub(super) const CHUNK: usize = 128 << 10;

/// From this many bytes on, a buffer is handed on; fewer are copied, which wastes no room.
const FULL: usize = CHUNK / 4 * 3;

/// Most buffers that wait to be used again: 8 MiB.
const SPARE: usize = 64;

static POOL: Mutex<Vec<Buffer>> = Mutex::new(Vec::new());

thread_local! {
    /// One for all connections of a thread, so that idle ones own none.
    static SCRATCH: RefCell<Buffer> = RefCell::new(Buffer::take());
}

/// Room for one read.
pub(super) struct Buffer(Box<[u8]>);

impl Buffer {
    /// Where to read to.
    pub(super) fn space(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// The first `len` bytes, which have been read.
    pub(super) fn filled(&mut self, len: usize) -> Chunk<'_> {
        Chunk { buffer: self, len }
    }

    fn take() -> Self {
        POOL.lock().pop().unwrap_or_else(|| Self(vec![0; CHUNK].into()))
    }
}

/// The filled part of a buffer, which goes back to the pool when the last byte has gone.
struct Filled {
    buffer: Option<Buffer>,
    len: usize,
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer.0[..self.len])
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        let mut pool = POOL.lock();
        if pool.len() < SPARE {
            pool.extend(self.buffer.take());
        }
    }
}

/// Bytes that have just been read.
pub(super) struct Chunk<'a> {
    buffer: &'a mut Buffer,
    len: usize,
}

impl Chunk<'_> {
    /// All of them, for now.
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.buffer.0[..self.len]
    }

    /// Those behind the first `from`, to keep.
    pub(super) fn keep(self, from: usize) -> Bytes {
        if self.len - from < FULL {
            return Bytes::copy_from_slice(&self.as_slice()[from..]);
        }
        let buffer = Some(std::mem::replace(self.buffer, Buffer::take()));
        Bytes::from_owner(Filled { buffer, len: self.len }).slice(from..)
    }
}

/// Lends the thread's buffer.
pub(super) fn with<T>(read: impl FnOnce(&mut Buffer) -> T) -> T {
    SCRATCH.with_borrow_mut(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(n: usize, from: usize) -> Bytes {
        with(|buffer| {
            buffer.space()[..n].iter_mut().zip(0..).for_each(|(byte, i)| *byte = (i % 251) as u8);
            buffer.filled(n).keep(from)
        })
    }

    #[test]
    fn what_is_kept_stays_whatever_is_read_next() {
        let kept: Vec<_> = [10, FULL, CHUNK].map(|n| (n, read(n, 3))).into();
        read(CHUNK, 0);
        for (n, bytes) in kept {
            let expected: Vec<u8> = (3..n).map(|i| (i % 251) as u8).collect();
            assert!(bytes == expected, "{n} bytes");
        }
    }
}
