//! One conformance suite for every fault, on every runtime: it bites, it ends, it is undone twice, it composes.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod cases;
mod catalogue;
#[path = "../common/mod.rs"]
mod common;
mod compose;
mod standby;

/// Each case on each runtime, as tests of their own.
macro_rules! on_each_runtime {
    ($($name:ident: $case:path,)+) => {
        mod docker { $(#[test] fn $name() { crate::common::on(chaos_harness::runtime::RuntimeKind::Docker, $case); })+ }
        mod process { $(#[test] fn $name() { crate::common::on(chaos_harness::runtime::RuntimeKind::Process, $case); })+ }
    };
}

on_each_runtime! {
    chosen_faults: crate::cases::all,
    the_catalogue: crate::catalogue::catalogue,
    every_fault_composes: crate::compose::every_fault,
    two_faults_on_one_link_compose: crate::compose::on_one_link,
    spare_instances_come_and_go_with_the_fault: crate::standby::come_and_go_with_the_fault,
    spare_instances_are_hit_only_while_they_run: crate::standby::are_hit_only_while_they_run,
}
