//! What a test process leaves behind when it ends, however it ends: nothing, within ten seconds.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod cell;
#[path = "../common/mod.rs"]
mod common;
mod damaged;
mod ends;
mod engine;
mod every_fault;
mod existing;
mod foreign;
mod guard;
mod holder;
mod lanes;
mod moments;
mod names;
mod out_of_sight;
mod planted;
mod program;
mod table;
mod traces;
mod unprivileged;
mod variables;
mod victim;
