fn main() {
    chaos_harness::topology! {
        shop:
        order { cargo: "shop", restart: sometimes }
    };
}
