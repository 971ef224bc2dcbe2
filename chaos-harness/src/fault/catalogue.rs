//! The list of all faults, for people and for the conformance suite: made from the registry, so that a fault which is
//! registered is listed and tested without anybody's being told.

use std::fmt::Write;

use super::{Fault, FaultKind, Injection};
use crate::runtime::RuntimeKind;

/// One line of the list: a fault, or several that differ in a word.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is, for people.
    pub title: &'static str,
    /// How a test writes it, in Markdown.
    pub written: &'static str,
    /// Examples of it, on the link from the users to the service `product`, or on that service. Each bites within a
    /// second where users ask ten times a second.
    pub examples: Vec<Fault>,
    /// What it takes on each runtime that can do it at all, beyond the right to start what is tested.
    pub privileges: &'static str,
    /// Which test shows that the examples bite, where users who ask do not.
    pub shown_by: Option<&'static str>,
}

impl Entry {
    /// A line of the list; without privileges.
    pub fn new(title: &'static str, written: &'static str, examples: impl IntoIterator<Item = Injection>) -> Self {
        let examples = examples.into_iter().map(|injection| injection.fault).collect();
        Self { title, written, examples, privileges: "none", shown_by: None }
    }

    /// The same, with what it takes.
    #[must_use]
    pub fn privileges(mut self, privileges: &'static str) -> Self {
        self.privileges = privileges;
        self
    }

    /// The same, shown to bite by a test of its own.
    #[must_use]
    pub fn shown_by(mut self, test: &'static str) -> Self {
        self.shown_by = Some(test);
        self
    }

    /// Whether the runtime has what all examples require.
    pub fn runs_on(&self, runtime: RuntimeKind) -> bool {
        let mut required = self.examples.iter().flat_map(|fault| fault.requires());
        required.all(|capability| runtime.capabilities().contains(capability))
    }
}

/// What a kind of fault says of itself for the list. A kind cannot be registered without.
pub trait Catalogued {
    /// Its lines of the list; at least one, each with an example.
    fn entries() -> Vec<Entry>;
}

/// The list as a table in Markdown.
pub fn table() -> String {
    let mut table = String::from("| fault | written | on docker | on process | privileges |\n|---|---|---|---|---|\n");
    for entry in Fault::catalogue() {
        let runs = |runtime| if entry.runs_on(runtime) { "yes" } else { "no" };
        let (docker, process) = (runs(RuntimeKind::Docker), runs(RuntimeKind::Process));
        let Entry { title, written, privileges, .. } = entry;
        // Writing into a string cannot fail.
        let _ = writeln!(table, "| {title} | {written} | {docker} | {process} | {privileges} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_registered_kind_has_an_example() {
        let catalogue = Fault::catalogue();
        let shown: BTreeSet<&str> =
            catalogue.iter().flat_map(|entry| &entry.examples).map(|fault| fault.kind()).collect();
        assert_eq!(shown, Fault::KINDS.iter().copied().collect());
        assert!(catalogue.iter().all(|entry| !entry.examples.is_empty() && !entry.privileges.is_empty()));
    }

    #[test]
    fn examples_name_the_service_that_the_suite_has() {
        for fault in Fault::catalogue().iter().flat_map(|entry| entry.examples.clone()) {
            assert!(fault.services().contains(&"product"), "{fault}");
        }
    }
}
