fn main() {
    let _ = chaos_harness::topology! {
        shop:
        store { image: "redis", volumes: { "/data": 64 MB } }
    };
}
