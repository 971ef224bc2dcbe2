//! Any bytes as a plan: read or refused, checked and told; nothing is started.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| chaos_harness::fuzzing::plan(input));
