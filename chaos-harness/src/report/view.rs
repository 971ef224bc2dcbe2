//! One journal as the formats show it.

use std::cell::OnceCell;
use std::time::Duration;

use super::{Measures, words};
use crate::experiment::{Expectation, SteadyState};
use crate::fault::FaultKind;
use crate::hypothesis::{Finding, Measure, Threshold, Verdict};
use crate::journal::{InjectionRecord, Journal, Outlook, Phase, Problem, Status, What};
use crate::measure::{Recovery, Sample, Timeline, Window, longest_silence};

/// No experiment lasts longer; a damaged journal must not be drawn to the end of time.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A journal with what its formats have in common: samples unpacked, windows found, the outcome in words.
#[derive(Debug)]
pub struct View<'a> {
    /// The journal.
    pub journal: &'a Journal,
    samples: OnceCell<Vec<Sample>>,
}

/// How an experiment stands, in the words of every format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Every hypothesis held.
    Upheld,
    /// A twin was refuted, as it should be.
    RefutedAsExpected,
    /// A hypothesis did not hold.
    Refuted,
    /// A twin was not refuted: the experiment cannot tell a protected system from an unprotected one.
    TwinNotRefuted,
    /// Nothing can be said.
    Inconclusive,
    /// It was stopped before its end.
    Aborted,
    /// It could not be carried out.
    Broken,
    /// Its test process ended before it did.
    Interrupted,
    /// It is still running.
    Running,
    /// It could not be run here.
    NotRun,
    /// Something was left behind, or a rollback failed.
    LeftBehind,
}

impl Standing {
    /// In words, lowercase.
    pub fn words(self) -> &'static str {
        match self {
            Self::Upheld => "upheld",
            Self::RefutedAsExpected => "refuted as expected",
            Self::Refuted => "refuted",
            Self::TwinNotRefuted => "twin not refuted",
            Self::Inconclusive => "inconclusive",
            Self::Aborted => "aborted",
            Self::Broken => "broken",
            Self::Interrupted => "interrupted",
            Self::Running => "still running",
            Self::NotRun => "not run",
            Self::LeftBehind => "left behind",
        }
    }

    /// For machines: `refuted_as_expected`.
    pub fn code(self) -> String {
        self.words().replace(' ', "_")
    }

    /// Whether it counts for the gate as it should be; agrees with [`Journal::outlook`].
    pub fn is_passed(self) -> bool {
        matches!(self, Self::Upheld | Self::RefutedAsExpected)
    }
}

impl<'a> View<'a> {
    /// A view of `journal`. Samples that cannot be unpacked are left out; the journal reader refuses such files.
    pub fn of(journal: &'a Journal) -> Self {
        Self { journal, samples: OnceCell::new() }
    }

    /// Its requests, in the order in which they were due.
    pub fn samples(&self) -> &[Sample] {
        self.samples.get_or_init(|| self.journal.samples.decode().unwrap_or_default())
    }

    /// Package, test target and name: what tells experiments apart.
    pub fn id(&self) -> String {
        self.journal.test.experiment(self.journal.name())
    }

    /// What was switched off, for a twin.
    pub fn without(&self) -> Option<&'a str> {
        match &self.journal.plan.expectation {
            Expectation::Refuted { without } => Some(without),
            Expectation::Upheld => None,
        }
    }

    /// The outcome in words.
    pub fn standing(&self) -> Standing {
        let journal = self.journal;
        let twin = journal.is_twin();
        match (journal.outlook(), journal.status, &journal.verdict) {
            (Outlook::LeftBehind, ..) => Standing::LeftBehind,
            (Outlook::NotRun, ..) => Standing::NotRun,
            (Outlook::Passed, ..) if twin => Standing::RefutedAsExpected,
            (Outlook::Passed, ..) => Standing::Upheld,
            (_, Status::Interrupted, _) => Standing::Interrupted,
            (_, Status::Running, _) => Standing::Running,
            _ if !journal.problems.is_empty() => Standing::Broken,
            (_, _, Some(Verdict::Upheld)) if twin => Standing::TwinNotRefuted,
            (_, _, Some(Verdict::Refuted { .. })) => Standing::Refuted,
            (_, _, Some(Verdict::Inconclusive { .. })) => Standing::Inconclusive,
            (_, _, Some(Verdict::Aborted { .. })) => Standing::Aborted,
            (_, _, Some(Verdict::Upheld) | None) => Standing::Broken,
        }
    }

    /// Why it stands so, on one line; empty when there is no more to say.
    pub fn reason(&self) -> String {
        let journal = self.journal;
        let problems = || journal.problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ");
        let verdict = || journal.verdict.as_ref().map_or_else(String::new, ToString::to_string);
        let text = match self.standing() {
            Standing::Upheld => self.unreached(),
            Standing::RefutedAsExpected | Standing::Refuted | Standing::Inconclusive | Standing::Aborted => {
                let verdict = verdict();
                verdict.split_once(": ").map_or(String::new(), |(_, why)| why.to_owned())
            }
            Standing::TwinNotRefuted => format!(
                "every hypothesis held without {}, so this experiment would not notice its loss",
                self.without().unwrap_or("the pattern")
            ),
            Standing::Broken if journal.problems.is_empty() => "it ended without a verdict".to_owned(),
            Standing::Broken | Standing::LeftBehind => problems(),
            Standing::NotRun => journal.not_run.clone().unwrap_or_default(),
            Standing::Interrupted => "the test process ended before the experiment did; run it again".to_owned(),
            Standing::Running => "it has not ended yet; make the report again when it has".to_owned(),
        };
        words::line(&text)
    }

    /// The faults that no request can have felt, in words; empty where there are none.
    fn unreached(&self) -> String {
        let mut faults: Vec<String> = Vec::new();
        for made in self.journal.injections.iter().filter(|made| made.reached == Some(false)) {
            let fault = format!("`{}`", made.fault);
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        if faults.is_empty() {
            return String::new();
        }
        format!("nothing passed on any link of {}, so no request can have felt it", faults.join(", "))
    }

    /// The numbers by which runs are compared.
    pub fn measures(&self) -> Measures {
        Measures::of(self)
    }

    /// From the beginning of the baseline, or of the load, to the last thing that is drawn.
    pub fn window(&self) -> Window {
        let first = self.samples().first().map(|sample| sample.intended);
        let from = self.phase(Phase::Baseline).or(first).unwrap_or_default();
        let marks = self.journal.injections.iter().flat_map(|made| [made.rolled_back, steady(made)]).flatten();
        let last = self.samples().last().map(|sample| sample.intended);
        let to = marks.chain(last).chain([from]).max().unwrap_or(from);
        let from = first.map_or(from, |first| first.min(from));
        Window::new(from, to.min(from + LONGEST) + Duration::from_millis(1))
    }

    /// From the first injection to the end of the last rollback; everything, without an injection.
    pub fn fault_window(&self) -> Window {
        let all = self.window();
        let Some(from) = self.journal.injections.iter().map(|made| made.began).min() else { return all };
        let end = |made: &InjectionRecord| made.rolled_back.unwrap_or(all.to);
        Window::new(from, self.journal.injections.iter().map(end).max().unwrap_or(all.to))
    }

    /// What happened when.
    pub fn timeline(&self) -> Timeline {
        Timeline::of(self.samples(), self.window())
    }

    /// When a phase began.
    pub fn phase(&self, wanted: Phase) -> Option<Duration> {
        self.phases().into_iter().find(|(phase, _)| *phase == wanted).map(|(_, at)| at)
    }

    /// The phases and when they began, in order.
    pub fn phases(&self) -> Vec<(Phase, Duration)> {
        let began = |event: &crate::journal::Event| match event.what {
            What::Phase { phase } => Some((phase, Duration::from_micros(event.at_us))),
            _ => None,
        };
        self.journal.events.iter().filter_map(began).collect()
    }

    /// The first `count` requests from the first injection on that were bad: not served, or by a fallback where the
    /// steady state speaks of fallbacks. What the time to recover counts.
    pub fn bad_requests(&self, count: usize) -> Vec<&Sample> {
        let steady = SteadyState::of(&self.journal.plan);
        self.first(count, |sample| steady.is_bad(sample))
    }

    /// The first `count` requests from the first injection on that were served, but later than a refuted claim about
    /// latency allows.
    pub fn slow_requests(&self, count: usize) -> Vec<&Sample> {
        let steady = SteadyState::of(&self.journal.plan);
        self.first(count, |sample| !steady.is_bad(sample) && self.is_too_slow(sample))
    }

    fn first(&self, count: usize, wanted: impl Fn(&Sample) -> bool) -> Vec<&Sample> {
        let from = self.journal.injections.iter().map(|made| made.began).min().unwrap_or_default();
        self.samples().iter().filter(|sample| sample.end >= from && wanted(sample)).take(count).collect()
    }

    fn is_too_slow(&self, sample: &Sample) -> bool {
        let refuted = self.journal.findings.iter().filter(|finding| finding.holds() == Some(false));
        refuted.map(|finding| &finding.hypothesis).any(|claim| match (&claim.measure, claim.threshold) {
            (Measure::Latency { route, .. }, Threshold::Time(limit)) => {
                route.as_deref().is_none_or(|route| route == self.route(sample)) && sample.latency() > limit
            }
            _ => false,
        })
    }

    /// The longest time without an answer while the fault was in force, and by when an answer counts as one; nothing
    /// without a load.
    pub fn silence(&self) -> Option<String> {
        let longest = longest_silence(self.samples(), self.fault_window());
        let deadline = self.journal.plan.load.as_ref().filter(|_| !self.samples().is_empty())?.deadline;
        Some(format!(
            "longest silence {}; answers count as served within {}",
            words::time(longest),
            words::time(deadline)
        ))
    }

    /// The route of a request.
    pub fn route(&self, sample: &Sample) -> &'a str {
        self.journal.routes.get(usize::from(sample.route)).map_or("?", String::as_str)
    }

    /// The last lines of the instances that the faults touch; of all, when none of those left any.
    pub fn target_logs(&self) -> Vec<(&'a str, &'a [String])> {
        let touched: Vec<&str> = self.journal.plan.injections.iter().flat_map(|made| made.fault.services()).collect();
        let service = |instance: &str| instance.rsplit_once('-').map_or(instance, |(name, _)| name).to_owned();
        let logs = || self.journal.logs.iter().filter(|(_, lines)| !lines.is_empty());
        let all = || logs().map(|(name, lines)| (name.as_str(), lines.as_slice()));
        let of_targets: Vec<_> = all().filter(|(name, _)| touched.contains(&service(name).as_str())).collect();
        if of_targets.is_empty() { all().collect() } else { of_targets }
    }
}

/// `held`, `refuted` or `not measured`.
pub(super) fn finding_word(finding: &Finding) -> &'static str {
    match finding.holds() {
        Some(true) => "held",
        Some(false) => "refuted",
        None => "not measured",
    }
}

/// When the steady state was back after an injection.
pub(super) fn steady(made: &InjectionRecord) -> Option<Duration> {
    match made.recovery {
        Some(Recovery::Recovered { steady, .. }) => Some(steady),
        Some(Recovery::NotRecovered { .. }) => None,
        _ => made.milestones.and_then(|milestones| milestones.steady),
    }
}

/// The decomposition of an injection's time, each moment with its name, in the order of DESIGN 6.
pub(super) fn milestones(made: &InjectionRecord) -> [(&'static str, Option<Duration>); 6] {
    let milestones = made.milestones.unwrap_or_default();
    [
        ("injected", Some(made.began)),
        ("first bad", milestones.first_bad),
        ("detected", milestones.detected),
        ("degraded", milestones.degraded),
        ("healed", milestones.healed),
        ("steady", milestones.steady),
    ]
}

/// The steps that were reached after the injection, in the order in which they came.
pub(super) fn reached(made: &InjectionRecord) -> Vec<(&'static str, Duration)> {
    let steps = milestones(made).into_iter().skip(1).filter_map(|(name, at)| Some((name, at?)));
    let mut steps: Vec<_> = steps.collect();
    steps.sort_by_key(|(_, at)| *at);
    steps
}
