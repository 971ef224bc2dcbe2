fn main() {
    chaos_harness::topology! {
        shop:
        order { cargo: "shop", port: 80, port: 81 }
    };
}
