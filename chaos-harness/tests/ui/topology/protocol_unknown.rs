fn main() {
    chaos_harness::topology! {
        shop:
        order { cargo: "shop" }
        product { cargo: "shop" }
        order -> product: htpp;
    };
}
