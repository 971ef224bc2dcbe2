fn main() {
    chaos_harness::topology! {
        Shop:
        order { cargo: "shop" }
    };
}
