//! Any bytes as an allow-list: whole names, or no list.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| chaos_harness::fuzzing::allow_list(input));
