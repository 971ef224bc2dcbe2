//! Any bytes as a journal: read or refused, written as they were read, and shown in every format.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| chaos_harness::fuzzing::journal(input));
