//! Any bytes as an undo log: every line is read or kept, and what is written again says the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| chaos_harness::fuzzing::undo_log(input));
