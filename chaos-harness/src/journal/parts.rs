//! The beginning of a journal, read without the rest.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::Path;

use jiff::Timestamp;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::reader::{is_partial, may_be_records};
use super::{TestRef, TestRun, file};
use crate::runtime::{RuntimeKind, is_owner_alive};

/// What tells a journal from others.
pub(super) struct Parts {
    pub(super) test: TestRef,
    pub(super) started_at: Timestamp,
    pub(super) test_run: Option<TestRun>,
    pub(super) plan: Named,
    pub(super) runtime: Kind,
}

#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

#[derive(Deserialize)]
pub(super) struct Kind {
    pub(super) kind: RuntimeKind,
}

impl Parts {
    /// Of the journal at `path`, and whether its experiment is under way.
    pub(super) fn read(path: &Path) -> Option<(Self, bool)> {
        let mut file = BufReader::new(file::open(path).ok()?);
        if !is_partial(path) {
            let mut found = Found::default();
            // It ends in an error where all was found, and all that matters is what was found.
            let _ = serde_json::Deserializer::from_reader(file).deserialize_map(&mut found);
            return Some((found.parts()?, false));
        }
        let mut line = Vec::new();
        may_be_records(&mut file).then_some(())?;
        file.read_until(b'\n', &mut line).ok()?;
        let FirstData { owner, journal } = serde_json::from_slice::<FirstLine>(&line).ok()?.data;
        Some((journal.parts()?, is_owner_alive(&owner)))
    }
}

/// The first line of a `.partial` file.
#[derive(Deserialize)]
struct FirstLine {
    data: FirstData,
}

#[derive(Deserialize)]
struct FirstData {
    owner: String,
    journal: Found,
}

/// The fields as far as they were found.
#[derive(Default, Deserialize)]
struct Found {
    test: Option<TestRef>,
    started_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "given")]
    test_run: Option<Option<TestRun>>,
    plan: Option<Named>,
    runtime: Option<Kind>,
}

/// Tells what is `null` from what is not there.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<TestRun>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Found {
    fn is_whole(&self) -> bool {
        let Self { test, started_at, test_run, plan, runtime } = self;
        test.is_some() && started_at.is_some() && test_run.is_some() && plan.is_some() && runtime.is_some()
    }

    fn parts(self) -> Option<Parts> {
        let Self { test, started_at, test_run, plan, runtime } = self;
        let test_run = test_run.flatten();
        Some(Parts { test: test?, started_at: started_at?, test_run, plan: plan?, runtime: runtime? })
    }
}

/// Reads fields until all are found: everything large comes after them.
impl<'de> Visitor<'de> for &mut Found {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a journal")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(field) = fields.next_key::<String>()? {
            match field.as_str() {
                "test" => self.test = Some(fields.next_value()?),
                "started_at" => self.started_at = Some(fields.next_value()?),
                "test_run" => self.test_run = Some(fields.next_value()?),
                "plan" => self.plan = Some(fields.next_value()?),
                "runtime" => self.runtime = Some(fields.next_value()?),
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
            if self.is_whole() {
                return Err(A::Error::custom("no more is needed"));
            }
        }
        Ok(())
    }
}
