//! Which connections a toxic affects, and the randomness it gets.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::Way;

/// The randomness of one toxic on one connection: `ChaCha8`, keyed by link seed, connection and toxic.
///
/// The key alone decides, so decisions do not depend on the order in which connections ask.
#[derive(Clone, Copy)]
pub(in crate::link) struct Dice {
    /// Link seed, connection or request, toxic, and which of the two the second is.
    key: [u64; 4],
}

impl Dice {
    pub(in crate::link) fn new(seed: u64, connection: u64, toxic: u64) -> Self {
        Self { key: [seed, connection, toxic, 0] }
    }

    /// The randomness of one toxic on one of the requests that it fits.
    pub(in crate::link) fn request(seed: u64, number: u64, toxic: u64) -> Self {
        Self { key: [seed, number, toxic, 1] }
    }

    /// The randomness of a toxic on no connection: that of its profile.
    pub(in crate::link) fn of_profile(seed: u64, toxic: u64) -> ChaCha8Rng {
        Self::new(seed, u64::MAX, toxic).stream(0)
    }

    /// What a request's fate may be drawn from.
    pub(in crate::link) fn bits(&self) -> ChaCha8Rng {
        self.stream(1)
    }

    /// Whether the toxic affects the connection, or the request; one affected at some probability is at any higher one.
    pub(in crate::link) fn affects(&self, probability: f64) -> bool {
        probability >= 1.0 || self.stream(0).random::<f64>() < probability
    }

    /// What the shaper of one way may draw from, in one part of the toxic's profile.
    pub(in crate::link) fn way(&self, way: Way, part: u64) -> ChaCha8Rng {
        let way = match way {
            Way::Up => 1,
            Way::Down => 2,
        };
        self.stream(2 * part + way)
    }

    fn stream(&self, stream: u64) -> ChaCha8Rng {
        let mut key = [0; 32];
        for (bytes, word) in key.chunks_exact_mut(8).zip(self.key) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(stream);
        rng
    }
}
