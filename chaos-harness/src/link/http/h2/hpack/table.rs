//! The tables that headers refer to: RFC 7541, 2.3.

use std::collections::VecDeque;

use super::Text;

/// Size of the dynamic table to begin with, in bytes.
pub(super) const INITIAL: usize = 4096;

/// What every entry takes besides its text, in bytes.
pub(super) const OVERHEAD: usize = 32;

/// The static table; its first entry has the index 1.
pub(super) const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// A header that the dynamic table holds.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Never used twice.
    pub(super) id: u64,
    pub(super) name: Text,
    pub(super) value: Text,
    pub(super) size: usize,
}

/// What its two users need of an entry.
pub(super) trait Sized {
    fn size(&self) -> usize;
}

impl Sized for Entry {
    fn size(&self) -> usize {
        self.size
    }
}

/// An entry of which the text is not needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Twin {
    pub(super) id: u64,
    pub(super) size: usize,
}

impl Sized for Twin {
    fn size(&self) -> usize {
        self.size
    }
}

/// A dynamic table, the newest entry first.
#[derive(Debug)]
pub(super) struct Table<E> {
    entries: VecDeque<E>,
    size: usize,
    capacity: usize,
}

impl<E: Sized> Table<E> {
    pub(super) fn new() -> Self {
        Self { entries: VecDeque::new(), size: 0, capacity: INITIAL }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&E> {
        self.entries.get(index)
    }

    /// Where the first entry is that fits.
    pub(super) fn position(&self, fits: impl FnMut(&E) -> bool) -> Option<usize> {
        self.entries.iter().position(fits)
    }

    pub(super) fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.shrink(capacity);
    }

    /// Adds an entry; one that is larger than the table empties it.
    pub(super) fn add(&mut self, entry: E) {
        let size = entry.size();
        self.shrink(self.capacity.saturating_sub(size));
        if size <= self.capacity {
            self.size += size;
            self.entries.push_front(entry);
        }
    }

    /// Drops the oldest entries until the others take no more than `size` bytes.
    fn shrink(&mut self, size: usize) {
        while self.size > size
            && let Some(oldest) = self.entries.pop_back()
        {
            self.size -= oldest.size();
        }
    }
}
