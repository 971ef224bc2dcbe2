//! Queueing disciplines: `netem` on everything that leaves, or `prio` with a `netem` for each class of packets.

use std::net::IpAddr;
use std::time::Duration;

use rustix::io::Errno;

use crate::error::NetnsError;
use crate::interfaces::Interface;
use crate::netlink::{ACK, Attributes, CREATE, DUMP, Message, REPLACE, Socket, attribute};
use crate::rules::{Packets, Transport};
use crate::shaping::{Netem, Shaping};

const NEW: u16 = 36;
const DELETE: u16 = 37;
const GET: u16 = 38;
const NEW_FILTER: u16 = 44;
const ROOT: u32 = 0xffff_ffff;
/// Our roots' numbers, by which they are told from the kernel's own: the one of a single `netem`,
const SINGLE: u32 = 0xca05 << 16;
/// and the one of a `prio`, which replaces the other and is replaced by it.
const CLASSES: u32 = 0xca04 << 16;
/// As many bands as `prio` can have.
const MOST: usize = 16;
/// Packets that may wait; so many that waiting loses none.
const LIMIT: u32 = 100_000;

/// Makes what leaves through `interfaces` be as `shaping` says, whatever it was before. When it cannot, nothing stays.
pub(crate) fn shape(shaping: &Shaping, interfaces: &[Interface]) -> Result<(), NetnsError> {
    if shaping.faults.is_empty() {
        return clear(interfaces);
    }
    leave_others_alone(interfaces)?;
    let shaped = shape_anew(shaping, interfaces);
    if shaped.is_err() {
        clear(interfaces)?;
    }
    shaped
}

/// Refuses interfaces whose root somebody has chosen: it would be replaced, and nobody knows how to bring it back. What
/// the kernel chooses by itself has no number.
fn leave_others_alone(interfaces: &[Interface]) -> Result<(), NetnsError> {
    let all = disciplines()?;
    let chosen = |it: &&Discipline| it.parent == ROOT && ![0, SINGLE, CLASSES].contains(&it.handle);
    for Discipline { interface, handle, kind, .. } in all.iter().filter(chosen) {
        if let Some(Interface { name, .. }) = interfaces.iter().find(|known| known.index == *interface) {
            let discipline = format!("{kind} {:x}:", handle >> 16);
            return Err(NetnsError::Occupied { interface: name.clone(), discipline });
        }
    }
    Ok(())
}

fn shape_anew(shaping: &Shaping, interfaces: &[Interface]) -> Result<(), NetnsError> {
    let (all, chosen) = shaping.combined();
    if chosen.is_empty() {
        return single(&all, interfaces);
    }
    if chosen.len() >= MOST {
        let (action, reason) = ("shape packets", format!("{} peers, and {} are the most", chosen.len(), MOST - 1));
        return Err(NetnsError::System { action: action.to_owned(), reason });
    }
    // Replaces an older `prio` with its classes, and finds out first whether there is a netem at all.
    single(&all, interfaces)?;
    let bands = 1 + chosen.len() as u32;
    each(interfaces, "sch_prio", |index| vec![prio(index, bands)])?;
    each(interfaces, "sch_netem", |index| {
        let netems = std::iter::once(&all).chain(chosen.iter().map(|(_, netem)| netem));
        (1..).zip(netems).map(|(band, it)| netem(index, CLASSES | band, SINGLE + (band << 16), it)).collect()
    })?;
    each(interfaces, "cls_u32", |index| {
        let of_band = |(band, (packets, _)): (u32, &(Vec<Packets>, Netem))| {
            packets.iter().map(|packets| filter(index, CLASSES | band, packets)).collect::<Vec<_>>()
        };
        (2..).zip(&chosen).flat_map(of_band).collect()
    })
}

fn single(netem_of_all: &Netem, interfaces: &[Interface]) -> Result<(), NetnsError> {
    each(interfaces, "sch_netem", |index| vec![netem(index, ROOT, SINGLE, netem_of_all)])
}

/// Takes away what [`shape`] made; what waited in it is lost. Others' disciplines are left alone.
pub(crate) fn clear(interfaces: &[Interface]) -> Result<(), NetnsError> {
    for (interface, root) in interfaces.iter().flat_map(|interface| [(interface, SINGLE), (interface, CLASSES)]) {
        let delete = Message::new(DELETE, ACK, &structure(interface.index, ROOT, root), Attributes::new());
        let deleted = Socket::route().and_then(|mut socket| socket.transact(&[delete]));
        match deleted {
            // No such discipline, not ours, or no such interface any more.
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::NOENT | Errno::INVAL | Errno::NODEV)) => {}
            other => other.map_err(NetnsError::of(format!("take the queueing of {} back", interface.name)))?,
        }
    }
    Ok(())
}

/// How many packets passed the discipline that does what [`shape`] made of `packets`; `None` when it is not there.
pub(crate) fn count(
    shaping: &Shaping,
    packets: &[Packets],
    interfaces: &[Interface],
) -> Result<Option<u64>, NetnsError> {
    let (_, chosen) = shaping.combined();
    let band = chosen.iter().position(|(known, _)| known == packets).map_or(1, |position| position as u32 + 2);
    let handle = if chosen.is_empty() { SINGLE } else { SINGLE + (band << 16) };
    let ours = |index| interfaces.iter().any(|interface| interface.index == index);
    let counted = disciplines()?.into_iter().filter(|it| it.handle == handle && ours(it.interface));
    let counts: Vec<u64> = counted.filter_map(|it| it.packets).collect();
    Ok((!counts.is_empty()).then(|| counts.iter().sum()))
}

/// A discipline as the kernel tells of it.
struct Discipline {
    interface: i32,
    handle: u32,
    parent: u32,
    kind: String,
    /// How many have passed it.
    packets: Option<u64>,
}

/// Those of the calling thread's namespace.
fn disciplines() -> Result<Vec<Discipline>, NetnsError> {
    let request = Message::new(GET, DUMP, &structure(0, 0, 0), Attributes::new());
    let found = Socket::route().and_then(|mut socket| socket.dump(request));
    let found = found.map_err(NetnsError::of("list the queueing disciplines"))?;
    Ok(found.iter().filter_map(|payload| read(payload)).collect())
}

fn read(payload: &[u8]) -> Option<Discipline> {
    const KIND: u16 = 1;
    const STATISTICS: u16 = 7;
    const BASIC: u16 = 1;
    let word = |at: usize| Some(u32::from_ne_bytes(*payload.get(at..)?.first_chunk()?));
    let attributes = payload.get(20..)?;
    let packets = || {
        let basic = attribute(attribute(attributes, STATISTICS)?, BASIC)?;
        Some(u64::from(u32::from_ne_bytes(*basic.get(8..)?.first_chunk()?)))
    };
    let kind = attribute(attributes, KIND)?.split(|byte| *byte == 0).next()?;
    Some(Discipline {
        interface: word(4)?.cast_signed(),
        handle: word(8)?,
        parent: word(12)?,
        kind: String::from_utf8_lossy(kind).into_owned(),
        packets: packets(),
    })
}

/// Sends `messages` for each interface; they take `module`.
fn each(interfaces: &[Interface], module: &str, messages: impl Fn(i32) -> Vec<Message>) -> Result<(), NetnsError> {
    for message in interfaces.iter().flat_map(|interface| messages(interface.index)) {
        let made = Socket::route().and_then(|mut socket| socket.transact(&[message]));
        made.map_err(NetnsError::of_feature("netem", module))?;
    }
    Ok(())
}

/// `struct tcmsg`.
fn structure(interface: i32, parent: u32, handle: u32) -> Vec<u8> {
    structure_with(interface, parent, handle, 0)
}

fn structure_with(interface: i32, parent: u32, handle: u32, info: u32) -> Vec<u8> {
    let words = [0, interface.cast_unsigned(), handle, parent, info];
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn discipline(interface: i32, parent: u32, handle: u32, kind: &str, options: Attributes) -> Message {
    let attributes = Attributes::new().text(1, kind).nested(2, options);
    Message::new(NEW, ACK | CREATE | REPLACE, &structure(interface, parent, handle), attributes)
}

/// All goes into the first band, unless it was put into another one.
fn prio(interface: i32, bands: u32) -> Message {
    let options = [&bands.to_ne_bytes()[..], &[0; 16]].concat();
    discipline(interface, ROOT, CLASSES, "prio", Attributes::after(&options))
}

/// `struct tc_netem_qopt`, and what is newer than that as attributes.
fn netem(interface: i32, parent: u32, handle: u32, netem: &Netem) -> Message {
    const REORDER: u16 = 3;
    const CORRUPT: u16 = 4;
    const LATENCY: u16 = 10;
    const JITTER: u16 = 11;
    let gap = u32::from(netem.reorder > 0.0);
    let fixed = [0, LIMIT, 0, gap, parts(netem.duplicate), 0];
    let fixed: Vec<u8> = fixed.iter().flat_map(|word: &u32| word.to_ne_bytes()).collect();
    let uncorrelated = |share| [parts(share).to_ne_bytes(), [0; 4]].concat();
    let options = Attributes::after(&fixed)
        .bytes(REORDER, &uncorrelated(netem.reorder))
        .bytes(CORRUPT, &uncorrelated(netem.corrupt))
        .bytes(LATENCY, &nanoseconds(netem.latency).to_ne_bytes())
        .bytes(JITTER, &nanoseconds(netem.jitter).to_ne_bytes());
    discipline(interface, parent, handle, "netem", options)
}

/// Puts `packets` into `class`. Headers are taken to have no options, as what leaves usually has.
fn filter(interface: i32, class: u32, packets: &Packets) -> Message {
    const CLASS: u16 = 1;
    const SELECTOR: u16 = 5;
    let is_v6 = matches!(packets.remote, Some(IpAddr::V6(_)));
    let (ethertype, priority): (u16, u32) = if is_v6 { (0x86dd, 2) } else { (0x0800, 1) };
    let keys = keys(packets, is_v6);
    // `struct tc_u32_sel`, which ends the search.
    let selector = [vec![1, 0, keys.len() as u8, 0], vec![0; 12], keys.concat()].concat();
    let options = Attributes::new().bytes(CLASS, &class.to_ne_bytes()).bytes(SELECTOR, &selector);
    let info = priority << 16 | u32::from(ethertype.to_be());
    let attributes = Attributes::new().text(1, "u32").nested(2, options);
    Message::new(NEW_FILTER, ACK | CREATE, &structure_with(interface, CLASSES, 0, info), attributes)
}

/// Each a `struct tc_u32_key`: a word of the packet, and which bits of it have to be what.
fn keys(packets: &Packets, is_v6: bool) -> Vec<Vec<u8>> {
    let key = |offset: u32, mask: u32, value: u32| {
        [mask.to_be_bytes(), value.to_be_bytes(), offset.to_ne_bytes(), [0; 4]].concat()
    };
    let (address_at, transport_at, transport_shift, header) = if is_v6 { (24, 4, 8, 40) } else { (16, 8, 16, 20) };
    let address = match packets.remote {
        Some(IpAddr::V4(address)) => address.octets().to_vec(),
        Some(IpAddr::V6(address)) => address.octets().to_vec(),
        None => Vec::new(),
    };
    let words = address.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word));
    let mut keys: Vec<_> = (address_at..).step_by(4).zip(words).map(|(at, word)| key(at, u32::MAX, word)).collect();
    let ports = [(packets.remote_port, 0xffff, 0), (packets.local_port, 0xffff_0000, 16)];
    for ((transport, port), mask, shift) in
        ports.into_iter().filter_map(|(port, mask, shift)| Some((port?, mask, shift)))
    {
        let number: u32 = if transport == Transport::Tcp { 6 } else { 17 };
        keys.push(key(transport_at, 0xff << transport_shift, number << transport_shift));
        keys.push(key(header, mask, u32::from(port) << shift));
    }
    keys
}

fn parts(share: f64) -> u32 {
    (share.clamp(0.0, 1.0) * f64::from(u32::MAX)).round() as u32
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}
