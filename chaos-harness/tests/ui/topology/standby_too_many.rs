fn main() {
    chaos_harness::topology! {
        shop:
        order { cargo: "shop", instances: 32, standby: 32 }
    };
}
