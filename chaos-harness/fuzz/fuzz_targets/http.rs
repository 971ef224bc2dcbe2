//! Any bytes, both ways, under any HTTP toxics: nothing panics, memory is bounded, and without a toxic nothing changes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| chaos_harness::link::fuzz_http(input));
