//! What GitHub's runner takes for a command, as in its `ActionCommand.cs`: `TryParseV2`, else `TryParse`. Whatever the
//! name of a command is, it counts as one.

/// Characters that count for nothing where .NET compares texts by a language, as the runner does.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
        || (c.is_control() && !c.is_whitespace())
}

/// The lines of a log that are commands.
pub(crate) fn commands(log: &str) -> Vec<&str> {
    // The runner reads a step's output with `StreamReader.ReadLine`.
    log.split(['\n', '\r']).filter(|line| is_v2(line) || is_v1(line)).collect()
}

fn seen(line: &str) -> String {
    line.chars().filter(|c| !is_unseen(*c)).collect()
}

/// `::name key=value::data`, behind white space.
fn is_v2(line: &str) -> bool {
    seen(line).trim_start().strip_prefix("::").is_some_and(|rest| rest.contains("::"))
}

/// `##[name key=value]data`, anywhere.
fn is_v1(line: &str) -> bool {
    seen(line).split_once("##[").is_some_and(|(_, rest)| rest.contains(']'))
}

/// Panics when `printed` holds a command, the beginning of one, or a character that steers a terminal.
pub(crate) fn assert_harmless(what: &str, printed: &str) {
    assert_eq!(commands(printed), [""; 0], "{what}");
    let begins = printed.lines().find(|line| seen(line).trim_start().starts_with("::") || seen(line).contains("##["));
    assert_eq!(begins, None, "{what}");
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}'..='\u{2029}');
    let steers = printed.lines().find(|line| line.contains(|c: char| c.is_control() || turns(c)));
    assert_eq!(steers, None, "{what}");
}
