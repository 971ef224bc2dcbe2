//! The last lines that an instance printed: whatever it prints, they take little room.

use std::collections::VecDeque;

/// How many lines are kept.
const MOST_LINES: usize = 2000;
/// How many bytes they take together.
const MOST_BYTES: usize = 256 * 1024;
/// How much of one line is kept, in bytes.
const LONGEST_LINE: usize = 4 * 1024;
/// What says how much of it was cut takes less.
const MARK: usize = 64;

/// The last lines, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastLines {
    lines: VecDeque<String>,
    bytes: usize,
}

impl LastLines {
    /// Adds a line; what is too long for one is cut. One that was cut before stays.
    pub(crate) fn push(&mut self, line: &str) {
        let kept = if line.len() <= LONGEST_LINE + MARK { line.len() } else { line.floor_char_boundary(LONGEST_LINE) };
        self.add(line[..kept].to_owned(), line.len() - kept);
    }

    fn add(&mut self, mut line: String, more: usize) {
        if more > 0 {
            line += &format!("… ({more} bytes more)");
        }
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > MOST_LINES || self.bytes > MOST_BYTES {
            let gone = self.lines.pop_front();
            self.bytes -= gone.map_or(0, |line| line.len());
        }
    }

    /// The last `count` lines, oldest first.
    pub(crate) fn last(&self, count: usize) -> Vec<String> {
        self.lines.iter().skip(self.lines.len().saturating_sub(count)).cloned().collect()
    }
}

/// Makes lines of what comes in pieces. Of a line that does not end it holds no more than is kept of one.
#[derive(Debug, Default)]
pub(crate) struct LineCutter {
    line: Vec<u8>,
    more: usize,
}

impl LineCutter {
    /// Takes in a piece, and gives the lines that it ends to `lines`.
    pub(crate) fn feed(&mut self, mut piece: &[u8], lines: &mut LastLines) {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            self.take(&piece[..end]);
            self.end_line(lines);
            piece = &piece[end + 1..];
        }
        self.take(piece);
    }

    /// There is no more: what there is of a line is one.
    pub(crate) fn end(&mut self, lines: &mut LastLines) {
        if !self.line.is_empty() {
            self.end_line(lines);
        }
    }

    fn take(&mut self, part: &[u8]) {
        let kept = part.len().min(LONGEST_LINE - self.line.len());
        self.line.extend_from_slice(&part[..kept]);
        self.more += part.len() - kept;
    }

    fn end_line(&mut self, lines: &mut LastLines) {
        let (mut line, mut more) = (std::mem::take(&mut self.line), std::mem::take(&mut self.more));
        if more > 0 {
            let whole = whole_characters(&line);
            more += line.len() - whole;
            line.truncate(whole);
        }
        lines.add(String::from_utf8_lossy(&line).trim_end().to_owned(), more);
    }
}

/// How much of `line` there is before a character that was cut.
fn whole_characters(line: &[u8]) -> usize {
    match std::str::from_utf8(&line[line.len().saturating_sub(3)..]) {
        Err(error) if error.error_len().is_none() => line.len().saturating_sub(3) + error.valid_up_to(),
        _ => line.len(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(pieces: &[&[u8]]) -> Vec<String> {
        let (mut cutter, mut lines) = (LineCutter::default(), LastLines::default());
        pieces.iter().for_each(|piece| cutter.feed(piece, &mut lines));
        cutter.end(&mut lines);
        lines.last(usize::MAX)
    }

    #[test]
    fn lines_come_in_any_pieces() {
        assert_eq!(cut(&[b"on", b"e\r\n\ntwo\nthr", b"ee"]), ["one", "", "two", "three"]);
    }

    #[test]
    fn a_long_line_is_cut_at_a_character_and_tells_how_much_more_there_was() {
        let line = "é".repeat(10_000);
        for cut in [cut(&[line.as_bytes(), b"\nnext"]), cut(&line.as_bytes().chunks(7).collect::<Vec<_>>())] {
            assert_eq!(cut[0], format!("{}… (15904 bytes more)", "é".repeat(2048)));
        }
        let mut lines = LastLines::default();
        lines.push(&format!("a{line}"));
        assert_eq!(lines.last(1), [format!("a{}… (15906 bytes more)", "é".repeat(2047))]);
        let odd = cut(&[format!("a{line}").as_bytes()]);
        assert_eq!(odd, lines.last(1));
    }

    #[test]
    fn what_is_kept_is_bounded_whatever_comes() {
        let (mut cutter, mut lines) = (LineCutter::default(), LastLines::default());
        let megabyte = vec![b'x'; 1 << 20];
        for _ in 0..100 {
            cutter.feed(&megabyte, &mut lines);
            assert!(cutter.line.capacity() <= 2 * LONGEST_LINE);
        }
        assert_eq!(lines.last(1), [""; 0], "it has not ended");
        for _ in 0..300 {
            cutter.feed(b"\n", &mut lines);
            cutter.feed(&megabyte, &mut lines);
        }
        let held: usize = lines.lines.iter().map(String::len).sum();
        assert!(held <= MOST_BYTES && held > MOST_BYTES / 2, "{held} bytes");
        cutter.feed(&b"\n".repeat(10_000), &mut lines);
        assert_eq!(lines.lines.len(), MOST_LINES);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in prop::collection::vec("[aé\n\r]{0,9}", 0..9)) {
            let pieces: Vec<&[u8]> = text.iter().map(String::as_bytes).collect();
            prop_assert_eq!(cut(&pieces), cut(&[text.concat().as_bytes()]));
        }
    }
}
