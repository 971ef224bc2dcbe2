fn main() {
    let _ = chaos_harness::topology! {
        shop:
        store { image: "redis", disks: ["/data", "/data"] }
    };
}
