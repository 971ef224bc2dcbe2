//! What happens to the body of a response on its way.

use bytes::{Bytes, BytesMut};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::rules::Plan;
use crate::link::counters::Counters;

/// Flips bits; which ones depends on the seed and their place in the body, not on how it arrives.
pub(super) struct Flipper {
    every: u64,
    rng: ChaCha8Rng,
    /// Bytes up to the next one to be changed.
    gap: u64,
    /// Knows the framing of gRPC messages, which stays as it is.
    grpc: Option<GrpcFrames>,
}

impl Flipper {
    /// Flips one bit in `every` bytes, on average; the first one in the first byte.
    pub(super) fn new(every: u64, rng: ChaCha8Rng) -> Self {
        Self { every, rng, gap: 0, grpc: None }
    }

    /// Leaves the framing of gRPC messages as it is.
    pub(super) fn grpc(&mut self) {
        self.grpc = Some(GrpcFrames::default());
    }

    /// Changes the next bytes of the body; says whether it changed any.
    fn flip(&mut self, data: &mut [u8]) -> bool {
        let mut changed = false;
        for byte in data {
            if self.grpc.as_mut().is_some_and(|frames| frames.is_framing(*byte)) {
                continue;
            }
            if self.gap > 0 {
                self.gap -= 1;
                continue;
            }
            *byte ^= 1 << self.rng.random_range(0..8);
            // Evenly spread around the mean.
            self.gap = self.rng.random_range(0..self.every.saturating_mul(2).max(2) - 1);
            changed = true;
        }
        changed
    }
}

/// Follows gRPC messages, each behind a byte of flags and four bytes of length.
#[derive(Default)]
struct GrpcFrames {
    prefix: u8,
    length: u32,
}

impl GrpcFrames {
    fn is_framing(&mut self, byte: u8) -> bool {
        if self.prefix < 5 {
            self.length = if self.prefix == 0 { 0 } else { self.length << 8 | u32::from(byte) };
            self.prefix = if self.prefix == 4 && self.length == 0 { 0 } else { self.prefix + 1 };
            return true;
        }
        self.length -= 1;
        if self.length == 0 {
            self.prefix = 0;
        }
        false
    }
}

/// What a plan does to a body.
#[derive(Default)]
pub(super) struct BodyFilter {
    truncate: Option<u64>,
    flipper: Option<Box<Flipper>>,
    flipped: bool,
}

impl BodyFilter {
    /// The part of `plan` that is about the body.
    pub(super) fn of(plan: &mut Plan) -> Self {
        Self { truncate: plan.truncate.take(), flipper: plan.corrupt.take(), flipped: false }
    }

    /// Whether bodies pass as they are.
    pub(super) fn is_idle(&self) -> bool {
        self.truncate.is_none() && self.flipper.is_none()
    }

    /// What arrives of the next bytes of the body, and whether it breaks off behind them.
    pub(super) fn apply(&mut self, mut data: Bytes, counters: &Counters) -> (Bytes, bool) {
        let mut cut = false;
        if let Some(left) = &mut self.truncate {
            let keep = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
            cut = keep < data.len();
            *left -= keep as u64;
            data.truncate(keep);
        }
        if let Some(flipper) = &mut self.flipper {
            let mut bytes = BytesMut::from(data);
            let changed = flipper.flip(&mut bytes);
            if changed && !std::mem::replace(&mut self.flipped, true) {
                counters.http_corrupted.add(1);
            }
            data = bytes.freeze();
        }
        if cut {
            counters.http_truncated.add(1);
        }
        (data, cut)
    }
}
