//! Where the body of an HTTP/1.1 message ends.

/// How a body is framed, and how far it has come.
#[derive(Debug)]
pub(super) enum Body {
    /// So many bytes are still to come.
    Length(u64),
    Chunked(Chunked),
    /// Up to the end of the stream.
    UntilEnd,
}

/// The next bytes of a message that belong together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) len: usize,
    /// Content, as opposed to framing.
    pub(super) content: bool,
    /// The message ends behind it.
    pub(super) last: bool,
}

/// The framing makes no sense.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Body {
    /// Whether there is nothing of it.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Length(0))
    }

    /// Looks at what comes next; `data` is not empty.
    pub(super) fn step(&mut self, data: &[u8]) -> Result<Segment, Malformed> {
        match self {
            Self::Length(left) => {
                let len = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
                *left -= len as u64;
                Ok(Segment { len, content: true, last: *left == 0 })
            }
            Self::UntilEnd => Ok(Segment { len: data.len(), content: true, last: false }),
            Self::Chunked(chunked) => chunked.step(data),
        }
    }
}

/// A place in a chunked body.
#[derive(Debug, Default)]
pub(super) enum Chunked {
    /// In the line that says how long the next chunk is.
    #[default]
    Start,
    Size(u64),
    /// Behind the size, in what a chunk has to add to it.
    Extension(u64),
    /// In a chunk of which so many bytes are still to come.
    Data(u64),
    /// In the line end behind a chunk.
    DataEnd,
    /// In the lines behind the last chunk; says whether the line has anything in it.
    Trailer(bool),
}

impl Chunked {
    fn step(&mut self, data: &[u8]) -> Result<Segment, Malformed> {
        if let Self::Data(left) = self {
            let len = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
            *left -= len as u64;
            if *left == 0 {
                *self = Self::DataEnd;
            }
            return Ok(Segment { len, content: true, last: false });
        }
        for (index, byte) in data.iter().enumerate() {
            let last = self.framing(*byte)?;
            if last || matches!(self, Self::Data(_)) {
                return Ok(Segment { len: index + 1, content: false, last });
            }
        }
        Ok(Segment { len: data.len(), content: false, last: false })
    }

    /// Takes a byte that is no content; says whether the body ends with it.
    fn framing(&mut self, byte: u8) -> Result<bool, Malformed> {
        *self = match (&*self, byte) {
            (Self::Start, _) => Self::Size(digit(byte).ok_or(Malformed)?),
            (Self::Size(size) | Self::Extension(size), b'\n') if *size > 0 => Self::Data(*size),
            (Self::Size(_) | Self::Extension(_), b'\n') => Self::Trailer(false),
            (Self::Size(size), b'\r' | b';' | b' ' | b'\t') => Self::Extension(*size),
            (Self::Size(size), _) => {
                let digit = digit(byte).ok_or(Malformed)?;
                Self::Size(size.checked_mul(16).ok_or(Malformed)? + digit)
            }
            (Self::Extension(size), _) => Self::Extension(*size),
            (Self::DataEnd, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::Start,
            (Self::DataEnd | Self::Data(_), _) => return Err(Malformed),
            (Self::Trailer(false), b'\n') => return Ok(true),
            (Self::Trailer(_), b'\n') => Self::Trailer(false),
            (Self::Trailer(seen), _) => Self::Trailer(*seen || byte != b'\r'),
        };
        Ok(false)
    }
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content of a chunked body that comes in pieces of `size` bytes, and how much of the input it took.
    fn read(input: &[u8], size: usize) -> Result<(Vec<u8>, usize), Malformed> {
        let (mut body, mut content, mut taken) = (Body::Chunked(Chunked::default()), Vec::new(), 0);
        while taken < input.len() {
            let segment = body.step(&input[taken..input.len().min(taken + size)])?;
            assert!(segment.len > 0);
            if segment.content {
                content.extend_from_slice(&input[taken..taken + segment.len]);
            }
            taken += segment.len;
            if segment.last {
                break;
            }
        }
        Ok((content, taken))
    }

    #[test]
    fn chunks_may_come_in_any_pieces() {
        let body = b"5;a=b\r\nhello\r\n0010 \r\n0123456789abcdef\r\n0\r\ntrailer: x\r\n\r\n";
        let input = [&body[..], b"next"].concat();
        for size in 1..input.len() {
            assert_eq!(read(&input, size), Ok((b"hello0123456789abcdef".to_vec(), body.len())), "{size}");
        }
    }

    #[test]
    fn nonsense_is_malformed() {
        for body in ["x\r\n", "\r\n", "5\r\nhelloX", "fffffffffffffffff\r\n", "-1\r\n"] {
            assert_eq!(read(body.as_bytes(), 3), Err(Malformed), "{body}");
        }
    }
}
