//! Questions to name servers, each held back for a while.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::NetnsError;
use crate::namespace::Namespace;
use crate::nft;
use crate::question::Question;
use crate::queue::{Queue, Waiting};
use crate::rules::{Packets, Transport};

/// How long after a local server was asked it may still ask another one.
const PASSED_ON_WITHIN: Duration = Duration::from_secs(5);

/// Questions over UDP to any name server, local or not, leave later. The answers are left alone, and so are questions
/// over TCP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameDelay {
    /// The name of the table of its rule.
    pub table: String,
    /// By so much.
    pub delay: Duration,
}

impl NameDelay {
    const PORT: u16 = 53;

    /// Puts it in force in the network namespace of the calling thread. Questions wait from then on, so what is returned
    /// has to be used; when that ends, however it ends, they pass.
    ///
    /// # Errors
    /// When the kernel refuses; then nothing is in force.
    pub fn begin(&self) -> Result<DelayedNames, NetnsError> {
        let queue = Queue::make().map_err(NetnsError::of_feature("a queue for packets", "nfnetlink_queue"))?;
        let packets = Packets { remote_port: Some((Transport::Udp, Self::PORT)), ..Packets::default() };
        nft::queue(&self.table, &packets, queue.number())?;
        Ok(DelayedNames {
            queue,
            delay: self.delay,
            waiting: VecDeque::new(),
            asked_here: HashMap::new(),
            delayed: Arc::default(),
        })
    }

    /// Tries it in a namespace of its own that is then thrown away, to learn whether this kernel can do it.
    ///
    /// # Errors
    /// What the kernel lacks, or that this process may not try.
    pub fn check(&self) -> Result<(), NetnsError> {
        let fresh = Namespace::fresh().map_err(NetnsError::of("make a network namespace"))?;
        fresh.run(|| self.begin().map(drop)).map_err(NetnsError::of("enter a network namespace"))?
    }
}

/// A [`NameDelay`] in force. Its rule is a table, removed like any other; without it nothing is held.
#[must_use = "questions wait until it runs"]
pub struct DelayedNames {
    queue: Queue,
    delay: Duration,
    /// When each is due; the delay is the same for all, so the oldest is first.
    waiting: VecDeque<(Instant, u32)>,
    /// What servers of this namespace were asked, and until when they may pass it on. Docker's own does so from here.
    asked_here: HashMap<Vec<u8>, Instant>,
    delayed: Arc<AtomicU64>,
}

impl DelayedNames {
    /// How many questions have been held back, to be read at any time.
    pub fn delayed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.delayed)
    }

    /// Holds questions back until `end` can be read, or was closed.
    ///
    /// # Errors
    /// When the kernel refuses to go on.
    pub fn run_until(&mut self, end: impl AsFd) -> io::Result<()> {
        loop {
            let rest = self.waiting.front().map(|(due, _)| due.saturating_duration_since(Instant::now()));
            let rest = rest.and_then(|rest| Timespec::try_from(rest).ok());
            let mut news = [PollFd::new(&end, PollFlags::IN), PollFd::new(&self.queue, PollFlags::IN)];
            match poll(&mut news, rest.as_ref()) {
                Err(error) if error != Errno::INTR => return Err(error.into()),
                _ if !news[0].revents().is_empty() => return Ok(()),
                _ => {}
            }
            for packet in self.queue.arrived()? {
                self.take(packet)?;
            }
            self.release(Instant::now())?;
        }
    }

    /// Has a question wait, unless it has waited here before.
    fn take(&mut self, Waiting { id, packet }: Waiting) -> io::Result<()> {
        let now = Instant::now();
        let due = now + self.delay;
        if let Some(Question { server, asked }) = Question::read(&packet) {
            self.asked_here.retain(|_, until| *until > now);
            if server.is_loopback() {
                self.asked_here.insert(asked, due + PASSED_ON_WITHIN);
            } else if self.asked_here.contains_key(&asked) {
                return self.queue.release(id);
            }
        }
        self.waiting.push_back((due, id));
        self.delayed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Lets those go that are due by `now`.
    fn release(&mut self, now: Instant) -> io::Result<()> {
        while let Some((_, id)) = self.waiting.pop_front_if(|(due, _)| *due <= now) {
            self.queue.release(id)?;
        }
        Ok(())
    }
}

impl Drop for DelayedNames {
    /// What still waits is let go. What cannot be, the kernel drops, and whoever asked asks again.
    fn drop(&mut self) {
        for (_, id) in std::mem::take(&mut self.waiting) {
            let _ = self.queue.release(id);
        }
    }
}
