//! What the macros expand to; not part of the public interface.

use std::fmt::{self, Debug, Display};
use std::time::Duration;

use crate::hypothesis::{Comparison, Hypothesis, Measure, Scope, Threshold, Verdict};
use crate::runtime::Missing;
use crate::shortage::Shortage;

pub use crate::test_run::run_test;

/// A claim that `hypothesis!` has checked.
pub fn hypothesis(measure: Measure, comparison: Comparison, threshold: Threshold, scope: Scope) -> Hypothesis {
    Hypothesis { measure, comparison, threshold, scope }
}

/// What `#[chaos_test]` knows of the test that it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestSettings {
    /// The path of the test function, from the crate on.
    pub name: &'static str,
    /// The package that the test belongs to.
    pub package: &'static str,
    /// The folder of that package.
    pub manifest_dir: &'static str,
    /// The crate that the test belongs to: the name of the test file for an integration test.
    pub crate_name: &'static str,
    /// The source file.
    pub file: &'static str,
    /// The line of the attribute.
    pub line: u32,
    /// The seed, where the attribute gives one.
    pub seed: Option<u64>,
    /// The time limit, where the attribute gives one.
    pub timeout: Option<Duration>,
    /// `auto`, `docker` or `process`, where the attribute gives one.
    pub runtime: Option<&'static str>,
}

/// Why a test fails. The test harness prints the `Debug` form, so that is the message itself.
pub struct Failure {
    text: String,
    missing: Option<Missing>,
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), missing: None }
    }

    /// Whether the test cannot be run here, and is not meant to be.
    pub(crate) fn is_not_run(&self) -> bool {
        self.missing.is_some_and(|missing| !missing.is_demanded())
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// What the body of a chaos test may return.
#[diagnostic::on_unimplemented(
    message = "a chaos test cannot return `{Self}`",
    label = "return `Result<Verdict, _>`, or `Result<(), _>` where the test judges by itself"
)]
pub trait Outcome {
    /// Passes or fails the test.
    ///
    /// # Errors
    /// Everything but an upheld verdict or a plain `Ok(())`.
    fn into_result(self) -> Result<(), Failure>;
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> Outcome for Result<Verdict, E> {
    fn into_result(self) -> Result<(), Failure> {
        match self {
            Ok(Verdict::Upheld) => Ok(()),
            Ok(verdict) => Err(Failure::new(verdict.to_string())),
            Err(error) => Err(failed(error)),
        }
    }
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> Outcome for Result<(), E> {
    fn into_result(self) -> Result<(), Failure> {
        self.map_err(failed)
    }
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    let error = error.into();
    let causes = || std::iter::successors(Some(error.as_ref() as &(dyn std::error::Error + 'static)), |it| it.source());
    let missing = causes().find_map(|cause| cause.downcast_ref::<crate::Error>()?.missing());
    // The error with its causes, and with what can be done where something ran short.
    let shortage = Shortage::behind(error.as_ref()).map(|shortage| format!("; {shortage}")).unwrap_or_default();
    let text = causes().map(ToString::to_string).collect::<Vec<_>>().join(": ") + &shortage;
    Failure { text, missing }
}
