fn main() {
    chaos_harness::topology! {
        shop:
        gateway { cargo: "shop" }
        inventory { cargo: "shop" }
        gateway -> inventry;
    };
}
