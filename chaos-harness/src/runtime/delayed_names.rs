//! Questions to name servers that are being held back in a target's network: by a thread of this process, or by a helper.
//!
//! Either ends with this process, and then nothing is held back, whether the rule is still there or not.

use std::io::{PipeWriter, pipe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

#[cfg(feature = "docker")]
use tokio::sync::Mutex;

use super::RuntimeError;
#[cfg(feature = "docker")]
use super::docker::Leased;

/// See above.
pub(crate) enum DelayedNames {
    /// By a thread, which ends with its lease.
    Here { delayed: Arc<AtomicU64>, lease: Option<PipeWriter>, thread: Option<JoinHandle<std::io::Result<()>>> },
    /// By a helper; behind a lock since a connection is nobody's to share.
    #[cfg(feature = "docker")]
    Through { helper: Box<Mutex<Leased>>, last: u64, ended: bool },
}

impl DelayedNames {
    /// Has a thread of this process go on with what has begun.
    pub(super) fn here(mut begun: chaos_harness_netns::DelayedNames) -> Result<Self, RuntimeError> {
        let failed = || RuntimeError::io("hold questions back");
        let (end, lease) = pipe().map_err(failed())?;
        let delayed = begun.delayed();
        let thread = std::thread::Builder::new().name("chaos-names".to_owned());
        let thread = thread.spawn(move || begun.run_until(end)).map_err(failed())?;
        Ok(Self::Here { delayed, lease: Some(lease), thread: Some(thread) })
    }

    #[cfg(feature = "docker")]
    pub(super) fn through(helper: Leased) -> Self {
        Self::Through { helper: Box::new(Mutex::new(helper)), last: 0, ended: false }
    }

    /// How many have been held back.
    ///
    /// # Errors
    /// When it went on no longer, so that nothing is held back.
    pub(crate) async fn count(&mut self) -> Result<u64, RuntimeError> {
        match self {
            Self::Here { thread: Some(thread), .. } if thread.is_finished() => {
                self.end().await?;
                Err(RuntimeError::io("hold questions back")(std::io::ErrorKind::Interrupted.into()))
            }
            Self::Here { delayed, .. } => Ok(delayed.load(Ordering::Relaxed)),
            #[cfg(feature = "docker")]
            Self::Through { last, ended: true, .. } => Ok(*last),
            #[cfg(feature = "docker")]
            Self::Through { helper, last, .. } => {
                *last = helper.get_mut().count().await?;
                Ok(*last)
            }
        }
    }

    /// Lets all go, and returns when nothing is left of it. May be called again.
    ///
    /// # Errors
    /// When something may be left, or when it had ended before of an error.
    pub(crate) async fn end(&mut self) -> Result<(), RuntimeError> {
        match self {
            Self::Here { lease, thread, .. } => {
                drop(lease.take());
                let Some(thread) = thread.take() else { return Ok(()) };
                let joined = tokio::task::spawn_blocking(move || thread.join()).await;
                let ended = joined.ok().and_then(Result::ok).unwrap_or_else(|| Err(std::io::ErrorKind::Other.into()));
                ended.map_err(RuntimeError::io("hold questions back"))
            }
            #[cfg(feature = "docker")]
            Self::Through { helper, ended, .. } => {
                if !*ended {
                    helper.get_mut().end().await?;
                    *ended = true;
                }
                Ok(())
            }
        }
    }
}
