//! The last lines that a child printed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::runtime::last_lines::{LastLines, LineCutter};

/// How much is read at once, in bytes.
const PIECE: usize = 16 * 1024;

/// The last lines of an instance, across its restarts.
#[derive(Clone, Debug, Default)]
pub(super) struct Output(Arc<Mutex<LastLines>>);

impl Output {
    /// Reads lines from `pipe` until it closes.
    pub(super) fn read(&self, mut pipe: impl AsyncRead + Unpin + Send + 'static) {
        let output = self.clone();
        tokio::spawn(async move {
            let (mut piece, mut cutter) = (vec![0; PIECE], LineCutter::default());
            while let Ok(read @ 1..) = pipe.read(&mut piece).await {
                cutter.feed(&piece[..read], &mut output.lines());
            }
            cutter.end(&mut output.lines());
        });
    }

    /// Adds a line of the harness's own.
    pub(super) fn push(&self, line: &str) {
        self.lines().push(line);
    }

    /// The last `count` lines, oldest first.
    pub(super) fn last(&self, count: usize) -> Vec<String> {
        self.lines().last(count)
    }

    fn lines(&self) -> MutexGuard<'_, LastLines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
