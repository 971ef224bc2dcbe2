use std::convert::Infallible;

use chaos_harness::chaos_test;
use chaos_harness::hypothesis::Verdict;
use chaos_harness::Lab;

#[chaos_test]
async fn t(_lab: Lab, _seconds: u64) -> Result<Verdict, Infallible> {
    Ok(Verdict::Upheld)
}

fn main() {}
