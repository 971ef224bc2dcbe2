//! What a pipeline should do with a report.

use super::Report;

/// The answer of a gate; its number is the exit status of `cargo xtask chaos-report --gate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Gate {
    /// Every experiment ended as expected.
    AllUpheld = 0,
    /// One was refuted, inconclusive, aborted, interrupted, has not ended yet or cannot be read, a twin
    /// was not refuted, or a measure got worse than the baseline allows.
    NotUpheld = 1,
    /// There is no journal of the run, or the sources have changed since.
    NothingToJudge = 2,
    /// Something was left behind or a rollback failed; outweighs everything else.
    LeftBehind = 3,
}

impl Gate {
    /// Judges a report. What could not be run here is left out; with nothing else there is nothing to judge.
    ///
    /// An experiment that is still running is not judged but fails the gate: a pipeline that asks before its tests
    /// have ended would otherwise pass on half of them. An experiment that only the baseline knows is named, and
    /// does not fail the gate: a run may well be a part of the suite.
    pub fn of(report: &Report) -> Self {
        let totals = report.totals();
        let regressed = report.comparison.as_ref().is_some_and(|comparison| !comparison.regressions.is_empty());
        if totals.left_behind > 0 {
            Self::LeftBehind
        } else if report.changed.is_some() {
            Self::NothingToJudge
        } else if totals.failed > 0 || totals.unreadable > 0 || regressed {
            Self::NotUpheld
        } else if totals.all() == 0 {
            Self::NothingToJudge
        } else {
            Self::AllUpheld
        }
    }

    /// The same, where every experiment is meant to be run.
    pub fn strict(report: &Report) -> Self {
        match Self::of(report) {
            Self::AllUpheld | Self::NothingToJudge if report.totals().not_run > 0 => Self::NotUpheld,
            other => other,
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::AllUpheld => "all upheld",
            Self::NotUpheld => "not upheld",
            Self::NothingToJudge => "nothing to judge",
            Self::LeftBehind => "something left behind",
        }
    }
}
