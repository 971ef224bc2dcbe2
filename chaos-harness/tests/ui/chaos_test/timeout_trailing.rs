use std::convert::Infallible;

use chaos_harness::chaos_test;
use chaos_harness::hypothesis::Verdict;
use chaos_harness::Lab;

#[chaos_test(timeout = "30s or so")]
async fn t(_lab: Lab) -> Result<Verdict, Infallible> {
    Ok(Verdict::Upheld)
}

fn main() {}
