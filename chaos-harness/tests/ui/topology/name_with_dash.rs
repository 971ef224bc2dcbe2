fn main() {
    chaos_harness::topology! {
        shop:
        stock-db { image: "postgres:16" }
    };
}
