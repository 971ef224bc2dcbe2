//! Text from outside (what services print, names, reasons, journals of others) on its way to a terminal, to the log of a
//! pipeline, or into a document.
//!
//! Every report passes [`Output`] as a whole, so that no part of a format can forget it. GitHub's runner takes a line of
//! any step's log for a command when it begins with `::`, behind white space, or has `##[` anywhere, and it compares as
//! its language does: characters that are not seen do not count. Escaped as the format escapes, both are shown or read
//! as they were; in plain text and Markdown a space comes between.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// A finished report. No line of it is a command to GitHub's runner, and no character steers a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output(String);

/// How a format writes characters that must not stand as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// Plain text, and Markdown.
    Text,
    /// Text with the colours of a terminal.
    Coloured,
    /// HTML and XML.
    Markup,
    /// JSON: whatever is to be escaped can only be inside a string.
    Json,
}

impl Output {
    pub(super) fn new(syntax: Syntax, text: &str) -> Self {
        Self(syntax.guarded(text))
    }

    /// What is made of commands on purpose; each text in them is escaped.
    pub(super) fn of_commands(commands: String) -> Self {
        Self(commands)
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Deref for Output {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `text` for a log or a terminal, on as many lines as it has: the message of an error, of a failing test. Colours stay.
pub fn log(text: &str) -> Output {
    Output::new(Syntax::Coloured, &text.replace("\r\n", "\n"))
}

/// Foreign text without what could steer a terminal or break a document: control characters, those that turn the
/// direction of writing, and the two code points that no XML may hold become the replacement character. Line feeds stay.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| c != '\n' && is_harmful(c);
    if text.contains(harmful) { Cow::Owned(text.replace(harmful, "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// [`clean`], and on one line.
pub(crate) fn line(text: &str) -> String {
    clean(text).replace('\n', " ")
}

fn is_harmful(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_no_text = matches!(c, '\u{2028}'..='\u{2029}' | '\u{fffe}' | '\u{ffff}');
    c.is_control() || turns || is_no_text
}

/// What counts for nothing where texts are compared: the default-ignorable code points of Unicode, and controls.
fn is_unseen(c: char) -> bool {
    match c {
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' => true,
        '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' => true,
        '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' => true,
        c => c.is_control() && !c.is_whitespace(),
    }
}

impl Syntax {
    /// `text` without commands and without characters that steer.
    pub(super) fn guarded(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut line = Line::default();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(colour) = colour(rest).filter(|_| self == Self::Coloured) {
                out += colour;
                rest = &rest[colour.len()..];
                continue;
            }
            rest = &rest[c.len_utf8()..];
            match line.take(c) {
                true => out += self.broken(c),
                false if c != '\n' && is_harmful(c) => self.escape(c, &mut out),
                false => out.push(c),
            }
        }
        out
    }

    /// The last character of what would begin a command.
    fn broken(self, c: char) -> &'static str {
        match (self, c) {
            (Self::Text | Self::Coloured, ':') => " :",
            (Self::Text | Self::Coloured, _) => " [",
            (Self::Markup, ':') => "&#58;",
            (Self::Markup, _) => "&#91;",
            (Self::Json, ':') => "\\u003a",
            (Self::Json, _) => "\\u005b",
        }
    }

    fn escape(self, c: char, out: &mut String) {
        match self {
            // All of them are in the first plane.
            Self::Json => *out += &format!("\\u{:04x}", u32::from(c)),
            _ if c == '\t' => out.push(' '),
            _ => out.push('\u{fffd}'),
        }
    }
}

/// How much of a command the line may have begun with.
struct Line {
    /// Nothing but white space and at most one colon yet.
    is_at_start: bool,
    has_colon: bool,
    hashes: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self { is_at_start: true, has_colon: false, hashes: 0 }
    }
}

impl Line {
    /// Takes in the next character, and says whether with it a command would begin.
    fn take(&mut self, c: char) -> bool {
        if c == '\n' || c == '\r' {
            *self = Self::default();
            return false;
        }
        if is_unseen(c) {
            return false;
        }
        let begins = (c == ':' && self.is_at_start && self.has_colon) || (c == '[' && self.hashes >= 2);
        self.is_at_start &= !self.has_colon && (c.is_whitespace() || c == ':');
        self.has_colon |= c == ':';
        self.hashes = if c == '#' { self.hashes + 1 } else { 0 };
        begins
    }
}

/// The colour sequence that `text` begins with.
fn colour(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("\u{1b}[")?;
    let end = inside.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    inside[end..].starts_with('m').then(|| &text[..end + 3])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether GitHub's runner would take a line of `log` for a command; what it does is in its `ActionCommand.cs`:
    /// `TryParseV2`, else `TryParse`. Any name counts as that of a command.
    fn has_command(log: &str) -> bool {
        log.split(['\n', '\r']).any(|line| {
            let seen: String = line.chars().filter(|c| !is_unseen(*c)).collect();
            let v2 = seen.trim_start().strip_prefix("::").is_some_and(|rest| rest.contains("::"));
            let v1 = seen.split_once("##[").is_some_and(|(_, rest)| rest.contains(']'));
            v2 || v1
        })
    }

    const COMMANDS: [&str; 9] = [
        "::error::x",
        " \t\u{3000}::add-mask::x",
        "a\n::stop-commands::x",
        "a\r::error::x",
        "what ##[error]x",
        "\u{feff}::error::x",
        ":\u{200b}:error::x",
        "a #\u{ad}#\u{200d}[error]x",
        "###[group]x",
    ];

    #[test]
    fn no_command_stays_one_in_any_syntax() {
        for command in COMMANDS {
            assert!(has_command(command), "{command:?}");
            for syntax in [Syntax::Text, Syntax::Coloured, Syntax::Markup, Syntax::Json] {
                let guarded = syntax.guarded(command);
                assert!(!has_command(&guarded), "{command:?} is {guarded:?}");
                assert_eq!(syntax.guarded(&guarded), guarded, "once is enough");
            }
        }
        assert_eq!(Syntax::Text.guarded("::error::x"), ": :error::x");
        assert_eq!(Syntax::Markup.guarded("a ##[error]x"), "a ##&#91;error]x");
        assert_eq!(Syntax::Json.guarded("\"##[error]\u{85}\""), "\"##\\u005berror]\\u0085\"");
        assert_eq!(Syntax::Text.guarded("a::b [x] #[y] :c"), "a::b [x] #[y] :c");
    }

    #[test]
    fn foreign_text_cannot_steer_a_terminal() {
        assert_eq!(clean("a\u{1b}[31m\tb\nc\u{ffff}\u{202e}"), "a\u{fffd}[31m\u{fffd}b\nc\u{fffd}\u{fffd}");
        assert!(matches!(clean("plain — text, कि\u{200d}"), Cow::Borrowed(_)));
        let sequences =
            "\u{1b}[1;31mred\u{1b}[0m\u{1b}]52;c;eA==\u{7}\u{1b}]8;;http://x\u{1b}\\\u{1b}[2J\u{9b}1A\u{1b}[";
        let colours = "\u{1b}[1;31mred\u{1b}[0m\u{fffd}]52;c;eA==\u{fffd}\u{fffd}]8;;http://x\u{fffd}\\\u{fffd}[2J\u{fffd}1A\u{fffd}[";
        assert_eq!(&*log(sequences), colours);
        assert!(!Syntax::Text.guarded(sequences).contains(char::is_control));
    }

    proptest! {
        #[test]
        fn whatever_it_is_no_command_comes_out(text in prop_oneof![any::<String>(), "[:#\\[\\] \n\r\u{feff}\u{200b}\u{1b}m;1a]{0,24}"]) {
            for syntax in [Syntax::Text, Syntax::Coloured, Syntax::Markup, Syntax::Json] {
                let guarded = syntax.guarded(&text);
                prop_assert!(!has_command(&guarded), "{:?} is {:?}", text, guarded);
            }
            let plain = Syntax::Text.guarded(&text);
            prop_assert!(!plain.contains(|c: char| c.is_control() && c != '\n'), "{:?}", plain);
        }
    }
}
