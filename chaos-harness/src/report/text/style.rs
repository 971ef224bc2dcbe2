//! Colours, or none.

use anstyle::{AnsiColor, Style as Ansi};

use crate::report::Standing;
use crate::report::foreign::Syntax;

/// Whether text is coloured. The caller decides: a terminal without `NO_COLOR` gets colours, anything else plain text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    coloured: bool,
}

impl Style {
    /// No escape sequences.
    pub fn plain() -> Self {
        Self { coloured: false }
    }

    /// ANSI colours.
    pub fn colour() -> Self {
        Self { coloured: true }
    }

    pub(super) fn syntax(self) -> Syntax {
        if self.coloured { Syntax::Coloured } else { Syntax::Text }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint(Ansi::new().bold(), text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.paint(Ansi::new().dimmed(), text)
    }

    pub(super) fn standing(self, standing: Standing, text: &str) -> String {
        let colour = match standing {
            Standing::Upheld | Standing::RefutedAsExpected => AnsiColor::Green,
            Standing::Inconclusive | Standing::Interrupted | Standing::Running | Standing::NotRun => AnsiColor::Yellow,
            _ => AnsiColor::Red,
        };
        self.paint(colour.on_default().bold(), text)
    }

    pub(super) fn held(self, held: Option<bool>, text: &str) -> String {
        let colour = match held {
            Some(true) => AnsiColor::Green,
            Some(false) => AnsiColor::Red,
            None => AnsiColor::Yellow,
        };
        self.paint(colour.on_default(), text)
    }

    fn paint(self, style: Ansi, text: &str) -> String {
        if self.coloured { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}
