//! What toxics have done to one connection, so that what happens once per connection is counted once.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Cut;
use crate::link::counters::Counters;

/// The toxics that have done something to a connection.
#[derive(Default)]
pub(in crate::link) struct Marks(Mutex<Vec<Note>>);

struct Note {
    toxic: u64,
    counters: Arc<Counters>,
    affected: bool,
    /// It decided to cut the connection, which others may do before it.
    wants: Option<Cut>,
}

impl Note {
    fn count(&mut self, link: &Counters, count: impl Fn(&Counters)) {
        let first = !std::mem::replace(&mut self.affected, true);
        for counters in [link, &*self.counters] {
            counters.affected.add(u64::from(first));
            count(counters);
        }
    }
}

impl Marks {
    /// Counts a cut for the link, and for the toxic behind it if there is one.
    pub(in crate::link) fn count_cut(&self, cut: Cut, link: &Counters) {
        match self.0.lock().iter_mut().find(|note| note.wants == Some(cut)) {
            Some(note) => note.count(link, |counters| counters.cut(cut)),
            None => link.cut(cut),
        }
    }
}

/// A toxic's way to leave marks on a connection.
pub(in crate::link) struct Mark {
    toxic: u64,
    counters: Arc<Counters>,
    connection: Arc<Marks>,
    /// Whether the connection knows already that it is affected.
    known: bool,
}

impl Mark {
    /// Of `toxic`, which has `counters` of its own.
    pub(in crate::link) fn new(toxic: u64, counters: &Arc<Counters>, connection: &Arc<Marks>) -> Self {
        Self { toxic, counters: Arc::clone(counters), connection: Arc::clone(connection), known: false }
    }

    /// Counts what the toxic did, for itself and for its link.
    pub(super) fn count(&mut self, link: &Counters, count: impl Fn(&Counters)) {
        if std::mem::replace(&mut self.known, true) {
            [link, &*self.counters].into_iter().for_each(count);
        } else {
            self.note(|note| note.count(link, count));
        }
    }

    /// Notes that the toxic decided to cut the connection; its first decision stays.
    pub(super) fn wants(&self, cut: Cut) {
        self.note(|note| note.wants = note.wants.or(Some(cut)));
    }

    fn note(&self, change: impl FnOnce(&mut Note)) {
        let mut notes = self.connection.0.lock();
        let index = notes.iter().position(|note| note.toxic == self.toxic).unwrap_or_else(|| {
            let counters = Arc::clone(&self.counters);
            notes.push(Note { toxic: self.toxic, counters, affected: false, wants: None });
            notes.len() - 1
        });
        change(&mut notes[index]);
    }
}
