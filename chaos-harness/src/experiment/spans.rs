//! The parts of an experiment on its clock, as hypotheses speak of them.

use std::time::Duration;

use crate::hypothesis::Scope;
use crate::journal::InjectionRecord;
use crate::measure::{Recovery, Window};

/// The windows of an experiment. Each repetition has a fault, a recovery and, once steady again, an after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spans {
    baseline: Window,
    repetitions: Vec<Repetition>,
    end: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Repetition {
    fault: Window,
    /// When the steady state was back; `None` when it never was.
    steady: Option<Duration>,
    end: Duration,
}

impl Spans {
    /// The windows of a run whose load was sent during `load`.
    pub(super) fn new(load: Window, injections: &[InjectionRecord]) -> Self {
        let first = injections.iter().map(|injection| injection.began).min();
        let baseline = Window::new(load.from, first.unwrap_or(load.to));
        let last = injections.iter().map(|injection| injection.repetition).max().unwrap_or(0);
        let repetitions = (1..=last).filter_map(|number| repetition(injections, number, load.to)).collect();
        Self { baseline, repetitions, end: load.to }
    }

    /// How many repetitions there were.
    pub(super) fn repetitions(&self) -> usize {
        self.repetitions.len()
    }

    /// The windows that `scope` speaks of; empty when the experiment did not get there.
    pub(super) fn of(&self, scope: Scope) -> Vec<Window> {
        let each = |window: fn(&Repetition) -> Option<Window>| self.repetitions.iter().filter_map(window).collect();
        match scope {
            Scope::Baseline => vec![self.baseline],
            Scope::Fault => each(|repetition| Some(repetition.fault)),
            Scope::Recovery => each(|repetition| {
                let to = repetition.steady.unwrap_or(repetition.end);
                Some(Window::new(repetition.fault.to, to.max(repetition.fault.to)))
            }),
            Scope::After => each(|repetition| {
                let from = repetition.steady?.max(repetition.fault.to);
                Some(Window::new(from, repetition.end))
            }),
            Scope::Overall => {
                let from = self.repetitions.first().map(|repetition| repetition.fault.from);
                from.map(|from| Window::new(from, self.end)).into_iter().collect()
            }
        }
    }
}

fn repetition(injections: &[InjectionRecord], number: u32, load_end: Duration) -> Option<Repetition> {
    let of = |number| injections.iter().filter(move |injection| injection.repetition == number);
    let from = of(number).map(|injection| injection.began).min()?;
    let to = of(number).map(|injection| injection.rolled_back.unwrap_or(load_end)).max()?;
    let end = of(number + 1).map(|injection| injection.began).min().unwrap_or(load_end);
    let steady: Option<Vec<Duration>> = of(number)
        .map(|injection| match injection.recovery? {
            Recovery::NoImpact | Recovery::TooFewSamples(_) => Some(to),
            Recovery::AlreadyDown { until } => until,
            Recovery::Recovered { steady, .. } => Some(steady),
            Recovery::NotRecovered { .. } => None,
        })
        .collect();
    Some(Repetition { fault: Window::new(from, to), steady: steady.and_then(|all| all.into_iter().max()), end })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn injection(repetition: u32, applied: u64, rolled_back: u64, recovery: Recovery) -> InjectionRecord {
        InjectionRecord {
            planned: 0,
            repetition,
            fault: String::new(),
            mechanism: String::new(),
            links: Vec::new(),
            reached: None,
            began: s(applied),
            applied: s(applied),
            rolled_back: Some(s(rolled_back)),
            bite: None,
            gone: None,
            recovery: Some(recovery),
            outages: None,
            detection: None,
            milestones: None,
        }
    }

    #[test]
    fn each_repetition_has_its_own_windows() {
        let recovered = |first_bad, steady| Recovery::Recovered { first_bad: s(first_bad), steady: s(steady) };
        let injections = [injection(1, 2, 4, recovered(2, 5)), injection(2, 8, 10, Recovery::NoImpact)];
        let spans = Spans::new(Window::new(s(0), s(14)), &injections);
        let window = |from, to| Window::new(s(from), s(to));
        assert_eq!(spans.of(Scope::Baseline), [window(0, 2)]);
        assert_eq!(spans.of(Scope::Fault), [window(2, 4), window(8, 10)]);
        assert_eq!(spans.of(Scope::Recovery), [window(4, 5), window(10, 10)]);
        assert_eq!(spans.of(Scope::After), [window(5, 8), window(10, 14)]);
        assert_eq!(spans.of(Scope::Overall), [window(2, 14)]);
    }

    #[test]
    fn what_never_recovered_has_no_after() {
        let never = Recovery::NotRecovered { first_bad: s(2), observed_until: s(9) };
        let spans = Spans::new(Window::new(s(0), s(9)), &[injection(1, 2, 4, never)]);
        assert_eq!(spans.of(Scope::After), []);
        assert_eq!(spans.of(Scope::Recovery), [Window::new(s(4), s(9))]);
    }

    #[test]
    fn without_a_fault_there_is_only_a_baseline() {
        let spans = Spans::new(Window::new(s(0), s(9)), &[]);
        assert_eq!(spans.of(Scope::Baseline), [Window::new(s(0), s(9))]);
        assert!(spans.of(Scope::Fault).is_empty() && spans.of(Scope::Overall).is_empty());
    }
}
