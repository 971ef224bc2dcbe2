fn main() {
    chaos_harness::topology! {
        shop:
        a { cargo: "shop" }
        b { cargo: "shop" }
        c { cargo: "shop" }
        a -> b -> c;
    };
}
