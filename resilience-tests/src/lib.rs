//! Shared parts of the experiments: the shop as a topology, and what its users do.

use chaos_harness::prelude::*;

/// The shop: `gateway` -> `order` -> `inventory` -> `product`, and `gateway` -> `product`.
///
/// Every protecting pattern is on; a twin switches one off with [`Topology::with`].
pub fn shop() -> Topology {
    topology! {
        shop:
        gateway { cargo: "shop" / "shop", args: ["gateway"], health: "/health/ready" },
        order { cargo: "shop" / "shop", args: ["order"], health: "/health/ready" },
        inventory { cargo: "shop" / "shop", args: ["inventory"], health: "/health/ready", restart: always },
        product { cargo: "shop" / "shop", args: ["product"], health: "/health/ready" },
        users -> gateway: http;
        gateway -> order: http, product: http;
        order -> inventory: http;
        inventory -> product: http;
    }
}

/// Shoppers: half of them order, half of them browse, 100 requests per second together.
pub fn shoppers() -> Load {
    Load::post("gateway", "/orders")
        .json(&shop::order())
        .also(Request::get("gateway", "/catalog"))
        .rate(100)
        .deadline(6.secs())
}

/// Reads the state of the breaker in front of inventory: 0 closed, 1 half-open, 2 open.
/// An open breaker is how the shop notices that inventory is in trouble.
pub fn inventory_breaker() -> Probe {
    Probe::metric("breaker", "order", "/metrics", "circuit_breaker_state{callee=\"inventory\"}").detects_at_least(2.0)
}
