fn main() {
    chaos_harness::topology! {
        shop:
        order { image: 16 }
    };
}
