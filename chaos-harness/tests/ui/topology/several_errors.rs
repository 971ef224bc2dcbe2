fn main() {
    chaos_harness::topology! {
        shop:
        a { cargo: "shop" }
        a -> a;
        a -> b;
    };
}
