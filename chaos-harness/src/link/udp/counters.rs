//! What a UDP link counts, so that a fault can be shown to have bitten.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::link::counters::{Counter, counters};

counters! {
    UdpCounters => UdpCountersSnapshot, level active_sessions;
    /// Datagrams sent to the callee.
    datagrams_up,
    /// Datagrams sent to callers.
    datagrams_down,
    /// Bytes sent to the callee, without headers.
    bytes_up,
    /// Bytes sent to callers, without headers.
    bytes_down,
    /// Datagrams that a loss toxic dropped.
    dropped,
    /// Datagrams that a toxic delayed.
    delayed,
    /// Copies that a toxic added.
    duplicated,
    /// Datagrams that a reorder toxic held back and that a later one of the same session overtook.
    reordered,
    /// Datagrams that a toxic changed.
    corrupted,
    /// Datagrams dropped for want of room: in a bandwidth toxic's queue, in the link's memory or in a socket's buffer.
    overflowed,
    /// Datagrams that found no callee: it was down, or its host answered that nobody listens (ICMP). The caller is not told.
    unreachable,
    /// Datagrams of peers that the link does not serve, as from another network: not forwarded.
    refused_peers,
    /// Sessions opened since the link was bound: one per caller address and time that it spoke.
    sessions,
    /// Sessions open now.
    active_sessions,
    /// Sessions closed for the sake of newer ones.
    evicted,
}
