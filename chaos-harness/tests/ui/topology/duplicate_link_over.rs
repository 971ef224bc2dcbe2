fn main() {
    chaos_harness::topology! {
        shop:
        a { cargo: "shop" }
        b { cargo: "shop" }
        a -> b, b: http;
        b -> a: udp;
        b -> a: udp;
    };
}
