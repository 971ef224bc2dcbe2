//! What the macros expand to; not part of the public interface.

use std::fmt::{self, Debug, Display};
use std::time::Duration;

use crate::hypothesis::{Comparison, Hypothesis, Measure, Scope, Threshold, Verdict};
use crate::report::{causes, foreign};
use crate::runtime::Missing;
use crate::shortage::Shortage;

pub use crate::test_run::run_test;
pub use chaos_harness_macros::{hypothesis as hypothesis_in, topology as topology_in};

/// What the macros name.
pub mod paths {
    pub use super::claim;
    pub use crate::hypothesis::{Comparison, Measure, Scope, Threshold};
    pub use crate::topology::{Protocol, Service, Topology};
}

/// A claim that `hypothesis!` has checked.
pub fn claim(measure: Measure, comparison: Comparison, threshold: Threshold, scope: Scope) -> Hypothesis {
    Hypothesis { measure, comparison, threshold, scope }
}

/// What `#[chaos_test]` knows of the test that it makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestSettings {
    /// The path of the test function, from the crate on.
    pub(crate) name: &'static str,
    pub(crate) file: &'static str,
    /// The line of the attribute.
    pub(crate) line: u32,
    pub(crate) package: &'static str,
    /// The folder of the package, where it was compiled.
    pub(crate) manifest_dir: &'static str,
    /// The name of the target, with `_` for `-`.
    pub(crate) crate_name: &'static str,
    pub(crate) kind: Compiled,
    pub(crate) seed: Option<u64>,
    pub(crate) timeout: Option<Duration>,
    /// `auto`, `docker` or `process`.
    pub(crate) runtime: Option<&'static str>,
    /// Whether the test is run only when asked for.
    pub(crate) ignored: bool,
}

/// What kind of target a test was compiled in, as far as cargo's variables tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compiled {
    /// A library.
    #[default]
    Library,
    /// A binary or an example.
    Executable,
    /// An integration test or a bench.
    Test,
    /// A program of its own, whose `main` runs experiments.
    Program,
}

impl TestSettings {
    /// Which test it is.
    #[must_use]
    pub fn test(self, name: &'static str, file: &'static str, line: u32) -> Self {
        Self { name, file, line, ..self }
    }

    /// The package and its folder.
    #[must_use]
    pub fn package(self, package: &'static str, manifest_dir: &'static str) -> Self {
        Self { package, manifest_dir, ..self }
    }

    /// The target, and the variables that cargo sets for binaries and examples, and for tests and benches.
    #[must_use]
    pub fn target(self, crate_name: &'static str, bin_name: Option<&str>, target_tmpdir: Option<&str>) -> Self {
        let kind = match (bin_name, target_tmpdir) {
            (_, Some(_)) => Compiled::Test,
            (Some(_), None) => Compiled::Executable,
            (None, None) => Compiled::Library,
        };
        Self { crate_name, kind, ..self }
    }

    /// The seed of the attribute.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// The time limit of the attribute.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// The runtime of the attribute.
    #[must_use]
    pub fn runtime(self, runtime: &'static str) -> Self {
        Self { runtime: Some(runtime), ..self }
    }

    /// It is run only when asked for.
    #[must_use]
    pub fn ignored(self) -> Self {
        Self { ignored: true, ..self }
    }
}

/// Why a chaos test fails, or a program that runs experiments. The test harness prints the `Debug` form, so that is the message itself.
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
        f.write_str(&foreign::log(&self.text))
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
    let mut chain = std::iter::successors(Some(error.as_ref() as &(dyn std::error::Error + 'static)), |it| it.source());
    let missing = chain.find_map(|cause| cause.downcast_ref::<crate::Error>()?.missing());
    // The error with its causes, and with what can be done where something ran short.
    let shortage = Shortage::behind(error.as_ref()).map(|shortage| format!("; {shortage}")).unwrap_or_default();
    let text = causes::text(error.as_ref()) + &shortage;
    Failure { text, missing }
}
