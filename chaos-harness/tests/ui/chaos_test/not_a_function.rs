use chaos_harness::chaos_test;

#[chaos_test]
struct T;

fn main() {}
