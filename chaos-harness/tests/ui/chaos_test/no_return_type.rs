use chaos_harness::chaos_test;
use chaos_harness::Lab;

#[chaos_test]
async fn t(_lab: Lab) {
    let _ = ();
}

fn main() {}
