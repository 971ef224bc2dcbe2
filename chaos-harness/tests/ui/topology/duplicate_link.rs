fn main() {
    chaos_harness::topology! {
        shop:
        a { cargo: "shop" }
        b { cargo: "shop" }
        a -> b;
        a -> b;
    };
}
