use std::convert::Infallible;

use chaos_harness::chaos_test;
use chaos_harness::hypothesis::Verdict;

#[chaos_test]
async fn t() -> Result<Verdict, Infallible> {
    Ok(Verdict::Upheld)
}

fn main() {}
