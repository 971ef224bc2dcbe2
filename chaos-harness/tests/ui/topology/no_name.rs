fn main() {
    chaos_harness::topology! {
        gateway { cargo: "shop" }
    };
}
