use std::convert::Infallible;

use chaos_harness::chaos_test;
use chaos_harness::hypothesis::Verdict;
use chaos_harness::Lab;

struct T;

impl T {
    #[chaos_test]
    async fn t(self, _lab: Lab) -> Result<Verdict, Infallible> {
        Ok(Verdict::Upheld)
    }
}

fn main() {}
