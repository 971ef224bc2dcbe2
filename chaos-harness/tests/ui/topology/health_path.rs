fn main() {
    chaos_harness::topology! {
        shop:
        order { cargo: "shop", health: "health" }
    };
}
