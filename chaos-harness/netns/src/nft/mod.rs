//! Tables of nftables: made, counted and removed, each in one transaction.

mod expression;

use std::io;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use self::expression::Expressions;
use crate::error::NetnsError;
use crate::netlink::{ACK, Attributes, CREATE, DUMP, Message, Socket, attribute, attributes};
use crate::rules::{Packets, Rules, Way};

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const NEW_TABLE: u16 = 0;
const GET_TABLE: u16 = 1;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const GET_RULE: u16 = 7;
/// Before connections are tracked and addresses translated.
const RAW: i32 = -300;

/// Where a table sees packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// In the network layer: a drop on the way out is told to the sender, as a local firewall's is.
    Inet = 1,
    /// At the interface: a drop on the way out is told to nobody, as on a wire.
    Netdev = 5,
}

/// What a table has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The packets that were looked for.
    pub seen: u64,
    /// Those to which it happened.
    pub bitten: u64,
}

fn message(kind: u16, flags: u16, family: Family, attributes: Attributes) -> Message {
    Message::new(SUBSYSTEM << 8 | kind, flags, &[family as u8, 0, 0, 0], attributes)
}

/// Has all of `messages` done, or none.
fn transaction(messages: Vec<Message>) -> io::Result<()> {
    let [high, low] = SUBSYSTEM.to_be_bytes();
    let edge = |kind| Message::new(kind, 0, &[0, 0, high, low], Attributes::new());
    let batch: Vec<Message> = [vec![edge(BATCH_BEGIN)], messages, vec![edge(BATCH_END)]].concat();
    Socket::netfilter()?.transact(&batch)
}

/// Puts `rules` in force on `devices`, all at once. Where the kernel has no hooks at an interface, those of the network
/// layer are taken.
pub(crate) fn apply(rules: &Rules, devices: &[String]) -> Result<(), NetnsError> {
    const WHAT: &str = "packet filtering";
    if !rules.need_network_layer() && transaction(table(rules, Family::Netdev, devices)).is_ok() {
        return Ok(());
    }
    let module = if rules.need_network_layer() { "nf_tables and nft_reject_inet" } else { "nf_tables and nft_numgen" };
    transaction(table(rules, Family::Inet, devices)).map_err(NetnsError::of_feature(WHAT, module))
}

/// Has `packets` that leave wait in queue `number`.
pub(crate) fn queue(name: &str, packets: &Packets, number: u16) -> Result<(), NetnsError> {
    const FAMILY: Family = Family::Inet;
    let counted = Expressions::default().packets(Way::Out, packets, true).counter();
    let table = |expressions| {
        let mut messages = vec![message(NEW_TABLE, CREATE | ACK, FAMILY, Attributes::new().text(1, name))];
        for (chain, hook) in hooks(FAMILY, Way::Out, &[]) {
            messages.push(new_chain(name, &chain, FAMILY, hook));
            messages.push(new_rule(name, &chain, FAMILY, Expressions::clone(&expressions)));
        }
        messages
    };
    if transaction(table(counted.clone().queue(number))).is_ok() {
        return Ok(());
    }
    let by_target = transaction(table(counted.queue_by_target(number)));
    by_target.map_err(NetnsError::of_feature("a queue for packets", "nft_queue"))
}

/// The whole table: a chain for each way, at each interface where that is where the hooks are.
fn table(rules: &Rules, family: Family, devices: &[String]) -> Vec<Message> {
    let mut messages = vec![message(NEW_TABLE, CREATE | ACK, family, Attributes::new().text(1, &rules.table))];
    for way in [Way::In, Way::Out] {
        for (chain, hook) in hooks(family, way, devices) {
            let of_way: Vec<_> = rules.rules.iter().filter(|rule| rule.way == way).collect();
            if of_way.is_empty() {
                continue;
            }
            messages.push(new_chain(&rules.table, &chain, family, hook));
            for rule in of_way {
                let packets = Expressions::default().packets(way, &rule.packets, rules.loopback);
                let rules_of = packets.rules(way, rule.action).into_iter();
                messages.extend(rules_of.map(|it| new_rule(&rules.table, &chain, family, it)));
            }
        }
    }
    messages
}

/// The name of each chain, and its hook.
fn hooks(family: Family, way: Way, devices: &[String]) -> Vec<(String, Attributes)> {
    let name = if way == Way::In { "in" } else { "out" };
    let hook = |number: u32, priority: i32| Attributes::new().be32(1, number).be32(2, priority as u32);
    match family {
        Family::Inet => vec![(name.to_owned(), hook(if way == Way::In { 1 } else { 3 }, RAW))],
        Family::Netdev => {
            let number = if way == Way::In { 0 } else { 1 };
            let at = |device: &String| (format!("{name}_{device}"), hook(number, 0).text(3, device));
            devices.iter().map(at).collect()
        }
    }
}

fn new_chain(table: &str, chain: &str, family: Family, hook: Attributes) -> Message {
    const ACCEPT: u32 = 1;
    let attributes = Attributes::new().text(1, table).text(3, chain).nested(4, hook).be32(5, ACCEPT);
    message(NEW_CHAIN, CREATE | ACK, family, attributes.text(7, "filter"))
}

fn new_rule(table: &str, chain: &str, family: Family, expressions: Expressions) -> Message {
    const APPEND: u16 = 0x800;
    let attributes = Attributes::new().text(1, table).text(2, chain).nested(4, expressions.list());
    message(NEW_RULE, CREATE | APPEND | ACK, family, attributes)
}

/// Removes a table; one that is gone is fine.
pub(crate) fn remove(table: &str) -> Result<(), NetnsError> {
    for family in [Family::Netdev, Family::Inet] {
        let gone = transaction(vec![message(DELETE_TABLE, ACK, family, Attributes::new().text(1, table))]);
        unless_gone(gone).map_err(NetnsError::of(format!("remove table {table}")))?;
    }
    Ok(())
}

/// What a table has counted; `None` when there is no such table.
pub(crate) fn count(table: &str) -> Result<Option<Counted>, NetnsError> {
    let mut total = None;
    for family in [Family::Netdev, Family::Inet] {
        let counted = count_in(family, table).map_err(NetnsError::of(format!("count in table {table}")))?;
        if let Some(counted) = counted {
            let total: &mut Counted = total.get_or_insert_default();
            total.seen += counted.seen;
            total.bitten += counted.bitten;
        }
    }
    Ok(total)
}

fn count_in(family: Family, table: &str) -> io::Result<Option<Counted>> {
    let mut socket = Socket::netfilter()?;
    let there = socket.transact(&[message(GET_TABLE, ACK, family, Attributes::new().text(1, table))]);
    if unless_gone(there)?.is_none() {
        return Ok(None);
    }
    let rules = Socket::netfilter()?.dump(message(GET_RULE, DUMP, family, Attributes::new().text(1, table)))?;
    let mut total = Counted::default();
    for (seen, bitten) in rules.iter().filter_map(|payload| counters(payload.get(4..)?, table)) {
        total.seen += seen;
        total.bitten += bitten;
    }
    Ok(Some(total))
}

/// The first and the last counter of a rule of `table`.
fn counters(rule: &[u8], table: &str) -> Option<(u64, u64)> {
    let name = attribute(rule, 1)?;
    if name.strip_suffix(&[0])? != table.as_bytes() {
        return None;
    }
    let expressions = attributes(attribute(rule, 4)?).map(|(_, expression)| expression);
    let counters = expressions.filter(|it| attribute(it, 1).is_some_and(|name| name.starts_with(b"counter")));
    let counts: Vec<u64> = counters.filter_map(|it| packets(attribute(it, 2)?)).collect();
    Some((*counts.first()?, *counts.last()?))
}

fn packets(counter: &[u8]) -> Option<u64> {
    attribute(counter, 2)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        // A kernel without the family has no table of it either.
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::OPNOTSUPP | Errno::AFNOSUPPORT) => Ok(None),
            _ => Err(error),
        },
        Ok(value) => Ok(Some(value)),
    }
}
