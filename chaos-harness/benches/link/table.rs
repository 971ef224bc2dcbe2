//! Figures by name, each the median of its rounds.

use std::fmt;

use indexmap::IndexMap;
use serde::Serialize;

/// The rounds of each contender, and what the link's median is in comparison.
pub struct Table {
    title: &'static str,
    unit: &'static str,
    rounds: IndexMap<&'static str, Vec<f64>>,
}

/// What is written, for others to compare with.
#[derive(Serialize)]
pub struct Row {
    name: &'static str,
    median: f64,
    lowest: f64,
    highest: f64,
    /// The link's median divided by this one.
    link_to_it: f64,
}

impl Table {
    pub fn new(title: &'static str, unit: &'static str) -> Self {
        Self { title, unit, rounds: IndexMap::new() }
    }

    pub fn add(&mut self, name: &'static str, value: f64) {
        self.rounds.entry(name).or_default().push(value);
    }

    pub fn median(&self, name: &str) -> Option<f64> {
        let mut rounds = self.rounds.get(name)?.clone();
        rounds.sort_by(f64::total_cmp);
        Some(rounds[rounds.len() / 2])
    }

    pub fn rows(&self) -> Vec<Row> {
        let own = self.median("link").unwrap_or(f64::NAN);
        let row = |(&name, rounds): (&&'static str, &Vec<f64>)| {
            let median = self.median(name).unwrap_or(f64::NAN);
            let lowest = rounds.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = rounds.iter().copied().fold(0.0, f64::max);
            Row { name, median, lowest, highest, link_to_it: own / median }
        };
        self.rounds.iter().map(row).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rounds.is_empty() {
            return Ok(());
        }
        writeln!(f, "{} ({})", self.title, self.unit)?;
        for Row { name, median, lowest, highest, link_to_it } in self.rows() {
            writeln!(f, "  {name:<15} {median:>10.1}  ({lowest:.1} to {highest:.1})   link / it = {link_to_it:.2}")?;
        }
        Ok(())
    }
}
