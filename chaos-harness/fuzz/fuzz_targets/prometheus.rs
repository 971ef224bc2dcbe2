//! Any bytes as a selector and a page of metrics: one finite value, or why there is none.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| chaos_harness::fuzzing::prometheus(input));
