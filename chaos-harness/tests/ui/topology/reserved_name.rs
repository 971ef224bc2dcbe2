fn main() {
    chaos_harness::topology! {
        shop:
        users { cargo: "shop" }
    };
}
