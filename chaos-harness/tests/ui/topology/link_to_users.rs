fn main() {
    chaos_harness::topology! {
        shop:
        order { cargo: "shop" }
        order -> users: http;
    };
}
