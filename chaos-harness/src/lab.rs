//! Where a test runs its experiments.

/// Where a test runs its experiments; `#[chaos_test]` hands one to each test.
#[derive(Debug)]
#[non_exhaustive]
pub struct Lab {}
