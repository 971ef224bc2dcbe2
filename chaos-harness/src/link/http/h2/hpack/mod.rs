//! Header compression: following it at little cost, and writing blocks anew for a receiver that has not seen all of them.
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | blocks: reading one as fields, writing it anew |
//! | `table.rs` | the static and the dynamic tables |
//! | `reader.rs` | numbers and strings in a block |
//! | `text.rs`, `huffman.rs` | names and values as they are sent; the Huffman code |
//!
//! The sender's table has what the sender has sent, the receiver's what has gone on to it. They are the same until a block
//! is kept back, changed or delayed. From then on a block is written anew, field by field: an entry that both have is
//! referred to, one that the receiver lacks is sent once more and then is in its table as well. The text stays as the
//! sender encoded it. Once the receiver's table holds the same again, blocks pass as they come.

mod huffman;
mod reader;
mod table;
#[cfg(test)]
mod tests;
mod text;

use bytes::{Bytes, BytesMut};

use self::reader::Reader;
use self::table::{Entry, OVERHEAD, STATIC, Table, Twin};
use self::text::{Text, integer, string};
use crate::link::http::Unread;
use crate::link::http::message::Edit;

/// Largest dynamic table that is followed, in bytes.
const TABLE: usize = 1 << 20;

/// Most that the headers of one message may take, in bytes.
const FIELDS: usize = 1 << 20;

/// Up to this length of a block its memory is shared with the table, in bytes.
const SHARED: usize = 16 << 10;

/// Memory for so many fields is kept from block to block.
const SPARE: usize = 256;

/// The header compression of one way.
pub(super) struct Hpack {
    sender: Table<Entry>,
    receiver: Table<Twin>,
    /// How many of the latest entries were added to both tables, in the same order.
    common: usize,
    /// Whether the tables were the same before the latest block.
    was_same: bool,
    /// The smallest and the latest size of the sender's table that the receiver has not been told of.
    resized: Option<(usize, usize)>,
    /// The size that the receiver has set as a limit, which counts once the sender has acknowledged it.
    limit: Option<usize>,
    next_id: u64,
    /// Memory for the fields of the next block.
    spare: Vec<Field>,
}

/// A header field of a block.
#[derive(Clone, Debug)]
pub(super) struct Field {
    form: Form,
    name: Text,
    value: Text,
}

/// How a field was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// By its index in the static table.
    Static(u8),
    /// By its index in the dynamic table, where it is this entry.
    Dynamic(Twin),
    /// By its text, which becomes this entry of the dynamic table.
    Added(Twin),
    /// By its text; the first bits say whether others may compress it.
    Plain(u8),
}

impl Hpack {
    pub(super) fn new() -> Self {
        Self {
            sender: Table::new(),
            receiver: Table::new(),
            common: 0,
            was_same: true,
            resized: None,
            limit: None,
            next_id: 0,
            spare: Vec::new(),
        }
    }

    /// Whether both tables hold the same.
    pub(super) fn is_same(&self) -> bool {
        self.common >= self.sender.len().max(self.receiver.len())
            && self.sender.capacity() == self.receiver.capacity()
            && self.resized.is_none()
    }

    /// Whether the latest block that was read may pass as it came.
    pub(super) fn may_pass(&self) -> bool {
        self.was_same
    }

    /// The receiver limits the size of its table.
    pub(super) fn limit(&mut self, size: u32) {
        self.limit = Some(size as usize);
    }

    /// The sender has acknowledged the limit: the next block begins with a change of the size.
    pub(super) fn acknowledged(&mut self) {
        if let Some(limit) = self.limit.take().filter(|limit| *limit < self.receiver.capacity()) {
            self.resized_to(limit);
        }
    }

    fn resized_to(&mut self, size: usize) {
        let smallest = self.resized.map_or(size, |(smallest, _)| smallest.min(size));
        self.resized = Some((smallest, size));
    }

    /// Reads a block. One of [`Self::passed`], [`Self::kept`], [`Self::write`] and [`Self::write_apart`] has to follow.
    pub(super) fn read(&mut self, block: &Bytes) -> Result<Vec<Field>, Unread> {
        self.was_same = self.is_same();
        let mut reader = Reader::new(block);
        // The block is part of what was read at once; the table is not to keep all of that.
        let mut own = None;
        let (mut fields, mut size) = (std::mem::take(&mut self.spare), 0);
        while let Some(first) = reader.peek() {
            if first & 0xe0 == 0x20 {
                let capacity = reader.integer(5)?;
                if !fields.is_empty() {
                    return Err(Unread::Malformed);
                }
                if capacity > TABLE {
                    return Err(Unread::TooLarge);
                }
                self.sender.resize(capacity);
                self.resized_to(capacity);
                continue;
            }
            let (field, length) = self.field(first, &mut reader, block, &mut own)?;
            size += length;
            if size > FIELDS {
                return Err(Unread::TooLarge);
            }
            fields.push(field);
        }
        Ok(fields)
    }

    /// Reads a field, and the least that it takes in a list of headers.
    fn field(
        &mut self,
        first: u8,
        reader: &mut Reader<'_>,
        block: &Bytes,
        own: &mut Option<Bytes>,
    ) -> Result<(Field, usize), Unread> {
        if first & 0x80 != 0 {
            return self.indexed(reader.integer(7)?);
        }
        let added = first & 0x40 != 0;
        let block = if added { own.get_or_insert_with(|| Bytes::copy_from_slice(block)) } else { block };
        let index = reader.integer(if added { 6 } else { 4 })?;
        let name = match index {
            0 => Text::Sent(reader.string(block)?),
            index => self.indexed(index)?.0.name,
        };
        let value = Text::Sent(reader.string(block)?);
        if !added {
            let size = name.at_least() + value.at_least() + OVERHEAD;
            return Ok((Field { form: Form::Plain(first & 0x10), name, value }, size));
        }
        let size = name.len()? + value.len()? + OVERHEAD;
        let id = self.next_id;
        self.next_id += 1;
        let own = |text: &Text| match text {
            Text::Sent(sent) if block.len() > SHARED => Text::Sent(Bytes::copy_from_slice(sent)),
            text => text.clone(),
        };
        self.sender.add(Entry { id, name: own(&name), value: own(&value), size });
        Ok((Field { form: Form::Added(Twin { id, size }), name, value }, size))
    }

    /// The field at a place of the tables, and its size.
    fn indexed(&self, index: usize) -> Result<(Field, usize), Unread> {
        let place = index.checked_sub(1).ok_or(Unread::Malformed)?;
        if let Some((name, value)) = STATIC.get(place) {
            let at = index as u8;
            let field = Field { form: Form::Static(at), name: Text::Name(at), value: Text::Value(at) };
            return Ok((field, name.len() + value.len() + OVERHEAD));
        }
        let entry = self.sender.get(place - STATIC.len()).ok_or(Unread::Malformed)?;
        let form = Form::Dynamic(Twin { id: entry.id, size: entry.size });
        Ok((Field { form, name: entry.name.clone(), value: entry.value.clone() }, entry.size))
    }

    /// The latest block passes as it came.
    pub(super) fn passed(&mut self, mut fields: Vec<Field>) {
        if let Some((smallest, latest)) = self.resized.take() {
            self.receiver.resize(smallest);
            self.receiver.resize(latest);
        }
        for field in &fields {
            if let Form::Added(twin) = field.form {
                self.receiver.add(twin);
                self.common += 1;
            }
        }
        fields.clear();
        if fields.capacity() <= SPARE {
            self.spare = fields;
        }
    }

    /// The latest block does not go on.
    pub(super) fn kept(&mut self, fields: &[Field]) {
        if fields.iter().any(|field| matches!(field.form, Form::Added(_))) {
            self.common = 0;
        }
    }

    /// Writes the latest block anew, for a receiver that gets it as the next one.
    pub(super) fn write(&mut self, fields: &[Field], edits: &[Edit]) -> Bytes {
        let mut out = BytesMut::new();
        self.write_size(&mut out);
        for field in fields {
            match edit_of(field, edits) {
                None => self.write_field(field, &mut out),
                Some(edit) => {
                    if matches!(field.form, Form::Added(_)) {
                        self.common = 0;
                    }
                    replace(field, edit, &mut out);
                }
            }
        }
        write_new(edits, fields, &mut out);
        out.freeze()
    }

    /// Writes the latest block in a way that neither reads nor changes any table, so that it may arrive at any time.
    pub(super) fn write_apart(&mut self, fields: &[Field], edits: &[Edit]) -> Bytes {
        self.kept(fields);
        let mut out = BytesMut::new();
        for field in fields {
            match (edit_of(field, edits), field.form) {
                (Some(edit), _) => replace(field, edit, &mut out),
                (None, Form::Static(index)) => integer(&mut out, 0x80, 7, index.into()),
                (None, Form::Plain(first)) => literal(field, first, 4, &mut out),
                (None, Form::Dynamic(_) | Form::Added(_)) => literal(field, 0, 4, &mut out),
            }
        }
        write_new(edits, fields, &mut out);
        out.freeze()
    }

    /// A block of the link's own, for a receiver that gets it as the next one.
    pub(super) fn write_own<'a>(&mut self, fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Bytes {
        let mut out = BytesMut::new();
        self.write_size(&mut out);
        out.extend_from_slice(&plain(fields));
        out.freeze()
    }

    /// Tells the receiver how the size of the table has changed.
    fn write_size(&mut self, out: &mut BytesMut) {
        let Some((smallest, latest)) = self.resized.take() else { return };
        for size in [Some(smallest), Some(latest).filter(|latest| *latest != smallest)].into_iter().flatten() {
            integer(out, 0x20, 5, size);
            self.receiver.resize(size);
        }
    }

    fn write_field(&mut self, field: &Field, out: &mut BytesMut) {
        match field.form {
            Form::Static(index) => integer(out, 0x80, 7, index.into()),
            Form::Plain(first) => literal(field, first, 4, out),
            Form::Dynamic(twin) => match self.receiver.position(|other| other.id == twin.id) {
                Some(place) => integer(out, 0x80, 7, STATIC.len() + 1 + place),
                None => {
                    self.common = 0;
                    self.receiver.add(twin);
                    literal(field, 0x40, 6, out);
                }
            },
            Form::Added(twin) => {
                self.common += 1;
                self.receiver.add(twin);
                literal(field, 0x40, 6, out);
            }
        }
    }
}

/// Writes a field by its text; its name by the static table where it came so.
fn literal(field: &Field, first: u8, bits: u8, out: &mut BytesMut) {
    match &field.name {
        Text::Name(index) => integer(out, first, bits, usize::from(*index)),
        name => {
            out.extend_from_slice(&[first]);
            name.write(out);
        }
    }
    field.value.write(out);
}

/// The edit that is about `field`, the last one if there are several. What HTTP/1.1 calls `host` is `:authority` here.
fn edit_of<'a>(field: &Field, edits: &'a [Edit]) -> Option<&'a Edit> {
    let named = |edit: &&Edit| field.name.is(edit.name()) || edit.name() == "host" && field.name.is(":authority");
    edits.iter().rev().find(named)
}

/// What is in the place of a field: a pseudo-header keeps its place before the others.
fn replace(field: &Field, edit: &Edit, out: &mut BytesMut) {
    if let (Some((_, value)), true) = (edit.header(), field.name.is(":authority")) {
        out.extend_from_slice(&plain([(&b":authority"[..], value.as_bytes())].into_iter()));
    }
}

/// The headers that edits set, but for those that have a place already.
fn write_new(edits: &[Edit], fields: &[Field], out: &mut BytesMut) {
    for (index, edit) in edits.iter().enumerate() {
        let is_last = !edits[index + 1..].iter().any(|later| later.name() == edit.name());
        let placed = edit.name() == "host" && fields.iter().any(|field| field.name.is(":authority"));
        if let Some((name, value)) = edit.header().filter(|_| is_last && !placed) {
            out.extend_from_slice(&plain([(name.as_bytes(), value.as_bytes())].into_iter()));
        }
    }
}

/// Fields as literals, which neither read nor change any table.
pub(super) fn plain<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Bytes {
    let mut block = BytesMut::new();
    for (name, value) in fields {
        block.extend_from_slice(&[0]);
        string(&mut block, name);
        string(&mut block, value);
    }
    block.freeze()
}

/// The text of fields, one after the other.
pub(super) struct Headers {
    text: Vec<u8>,
    /// Where each name ends, and each value behind it.
    ends: Vec<(usize, usize)>,
}

impl Headers {
    /// Those fields whose names are `wanted`.
    pub(super) fn of(fields: &[Field], wanted: impl Fn(&[u8]) -> bool) -> Result<Self, Unread> {
        let (mut text, mut ends) = (Vec::new(), Vec::new());
        for field in fields {
            let begin = text.len();
            field.name.read(&mut text)?;
            if !wanted(&text[begin..]) {
                text.truncate(begin);
                continue;
            }
            let name = text.len();
            field.value.read(&mut text)?;
            ends.push((name, text.len()));
        }
        Ok(Self { text, ends })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        begins.zip(&self.ends).map(|(begin, (name, value))| (&self.text[begin..*name], &self.text[*name..*value]))
    }
}
