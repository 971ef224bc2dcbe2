use std::convert::Infallible;

use chaos_harness::chaos_test;
use chaos_harness::hypothesis::Verdict;
use chaos_harness::Lab;

#[chaos_test(seed = 42, seed = 43)]
async fn t(_lab: Lab) -> Result<Verdict, Infallible> {
    Ok(Verdict::Upheld)
}

fn main() {}
