fn main() {
    chaos_harness::topology! {
        shop:
        order { cargo: "shop", env: { A: "1", A: "2" } }
    };
}
