fn main() {
    chaos_harness::topology! {
        shop:
        stock_db { image: "postgres:16" }
    };
}
