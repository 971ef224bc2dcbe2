//! An experiment in a program that is no test: `cargo run --example program`.

use chaos_harness::prelude::*;

fn main() -> Result<(), chaos_harness::Failure> {
    Lab::run("slow_products", async |lab| {
        let product = Service::new("product").cargo("shop", "shop").args(["product"]).http("/health/ready");
        lab.experiment(Topology::new("products").service(product))
            .load(Load::get("product", "/products"))
            .inject(link(USERS, "product").latency(200.millis()))
            .hypothesis(hypothesis!(availability > 95%))
            .run()
            .await
    })
}
