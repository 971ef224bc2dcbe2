//! What the macros expand to; not part of the public interface.

use std::fmt::{self, Debug, Display};
use std::time::Duration;

use crate::hypothesis::{Comparison, Hypothesis, Measure, Scope, Threshold, Verdict};

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
pub struct Failure(pub(crate) String);

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
            Ok(verdict) => Err(Failure(verdict.to_string())),
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
    Failure(chain(error.into().as_ref()))
}

/// The error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
