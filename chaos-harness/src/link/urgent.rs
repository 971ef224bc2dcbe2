//! Which bytes on their way through a lane are urgent data (`MSG_OOB`), by their place in the stream.
//!
//! Toxics treat an urgent byte as any other. One that loses or adds bytes shifts the places behind; they are right again
//! once the lane has run empty.

use std::collections::VecDeque;

/// The places of urgent bytes, counted from the begin of the stream.
#[derive(Default)]
pub(super) struct Urgent {
    taken: u64,
    given: u64,
    places: VecDeque<u64>,
}

impl Urgent {
    /// So many bytes have come in.
    pub(super) fn taken(&mut self, bytes: usize) {
        self.taken += bytes as u64;
    }

    /// So many bytes have gone out.
    pub(super) fn given(&mut self, bytes: usize) {
        self.given += bytes as u64;
        while self.places.front().is_some_and(|place| *place < self.given) {
            self.places.pop_front();
        }
    }

    /// The next byte that comes in is urgent.
    pub(super) fn mark(&mut self) {
        if self.places.back() != Some(&self.taken) {
            self.places.push_back(self.taken);
        }
    }

    /// Whether there is none on its way.
    pub(super) fn is_none(&self) -> bool {
        self.places.is_empty()
    }

    /// How many bytes go before the next urgent one.
    pub(super) fn ahead(&self) -> Option<u64> {
        self.places.front().map(|place| place.saturating_sub(self.given))
    }

    /// The lane has run empty.
    pub(super) fn settle(&mut self) {
        self.given = self.taken;
        self.places.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_passed_and_settle() {
        let mut urgent = Urgent::default();
        urgent.taken(2);
        urgent.mark();
        urgent.mark();
        urgent.taken(3);
        assert_eq!((urgent.ahead(), urgent.is_none()), (Some(2), false));
        urgent.given(2);
        assert_eq!(urgent.ahead(), Some(0));
        urgent.given(1);
        assert_eq!((urgent.ahead(), urgent.is_none()), (None, true));
        // Two bytes are lost.
        urgent.settle();
        urgent.mark();
        assert_eq!(urgent.ahead(), Some(0));
    }
}
