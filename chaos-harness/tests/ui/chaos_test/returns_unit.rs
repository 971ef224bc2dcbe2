use chaos_harness::chaos_test;
use chaos_harness::lab::Lab;

#[chaos_test]
async fn t(_lab: Lab) -> () {
    let _ = ();
}

fn main() {}
