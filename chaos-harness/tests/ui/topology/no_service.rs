fn main() {
    chaos_harness::topology! {
        shop:
    };
}
