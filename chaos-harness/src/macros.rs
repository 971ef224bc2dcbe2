//! `hypothesis!` and `topology!`. They hand the path of this crate on to the macros that do the work, since nothing
//! else knows it where the crate was renamed or is re-exported by another.

/// Writes a claim as people say it: `hypothesis!(availability > 95%)`.
///
/// The value is a [`Hypothesis`](crate::hypothesis::Hypothesis). A claim that makes no sense, that nothing
/// could refute, or that can never hold does not compile; the message points at the token.
///
/// ```
/// use chaos_harness::hypothesis;
///
/// let claims = [
///     hypothesis!(availability > 95%),
///     hypothesis!(error_rate("/orders") <= 0.5%),
///     hypothesis!(p99("/catalog") < 250ms),
///     hypothesis!(mttr < 2min 30s),
///     hypothesis!(peak("queue") < 1000 during recovery),
/// ];
/// assert_eq!(claims[2].to_string(), "p99(\"/catalog\") < 250ms");
/// ```
///
/// # Syntax
///
/// `measure [("route" or "probe")] comparison threshold [during scope]`
///
/// | measure | brackets | threshold |
/// |---|---|---|
/// | `availability`, `error_rate`, `degraded` | a route; all requests without | a percentage from `0%` to `100%` |
/// | `p50`, `p99`, `p99_9`, any other quantile, `max` (the slowest request) | a route; all requests without | a time |
/// | `mttr`, `mttd`, `recovery` | none | a time |
/// | `peak`, `lowest`, `last` | the probe; required | a plain number, such as `2`, `-0.5` or `2e3` |
///
/// - Comparisons are `<`, `<=`, `>` and `>=`.
/// - A percentage has at most four decimals: `99.9%`.
/// - Times are written with `h`, `min`, `s`, `ms`, `us` and `ns`: `250ms`, `1.5s`, `2min 30s`.
/// - Scopes are `baseline`, `fault` (while the fault is in force; meant when none is named), `recovery`, `after`
///   and `overall`. `mttr`, `mttd` and `recovery` speak of every injection and take none.
///
/// ```compile_fail
/// chaos_harness::hypothesis!(availability > 120%); // a share lies between 0% and 100%
/// ```
#[macro_export]
macro_rules! hypothesis {
    ($($claim:tt)*) => { $crate::__private::hypothesis_in! { [$crate] $($claim)* } };
}

/// Declares the services of a system and the links between them.
///
/// The value is a [`Topology`](crate::topology::Topology). What is wrong in it (a link to a service that is not
/// declared, a port that cannot be, a service with nothing to run ...) does not compile; the message points at
/// the token. What only an expression knows is checked by `Topology::validate` before anything starts.
///
/// ```
/// use chaos_harness::topology;
///
/// let postgres = std::env::var("POSTGRES_IMAGE").unwrap_or_else(|_| "postgres:16".to_owned());
/// let shop = topology! {
///     shop:
///     gateway {
///         cargo: "shop" / "shop",
///         args: ["gateway"],
///         health: "/health/ready",
///         env: { BREAKER: "on", RETRIES: 3 },
///         restart: always,
///         instances: 2,
///     }
///     order { cargo: "shop" / "shop", args: ["order"], health: "/health/ready" }
///     "order-db" {
///         image: postgres,
///         port: 5432,
///         health: tcp,
///         within: 1min,
///         volumes: { "/tmp/spill": 64 MiB },
///         disks: ["/var/lib/postgresql/data"],
///     }
///
///     users -> gateway: http;
///     gateway -> order: http;
///     order -> "order-db";
/// };
/// shop.validate()?;
/// assert_eq!(shop.callees("order").collect::<Vec<_>>(), ["order-db"]);
/// # Ok::<(), chaos_harness::topology::TopologyError>(())
/// ```
///
/// # Syntax
///
/// The topology's name and `:`, then services and links in any order. A link is `caller -> callee` or
/// `caller -> callee, callee`, and ends with `;` or `,`. Behind each callee may stand what is spoken: `tcp`, which is
/// the default, `http` or `udp`, as in `app -> web: http, dns: udp`; a pair may be linked over TCP and over UDP at once.
/// `users` may call every service; a link of theirs only says what is spoken. A name with a `-` is written as a string.
///
/// | setting of a service | value | without it |
/// |---|---|---|
/// | `cargo` | `"package" / "binary"` of this workspace; one string where they have the same name | one of `cargo`, `image` and `program` is needed |
/// | `manifest` | the manifest of another workspace whose package it is; an expression | this workspace |
/// | `profile`, `features` | with which cargo builds it; expressions, as in `features: ["tracing"]` | `release`, the default ones |
/// | `image` | the image that the docker runtime runs; an expression | what `cargo` says |
/// | `platform` | of the image, such as `"linux/arm64"` | `DOCKER_DEFAULT_PLATFORM`, else the engine's own |
/// | `program` | the executable that the process runtime runs; an expression | what `cargo` says |
/// | `args` | `["a", value, 3]`, or an expression | none |
/// | `env` | `{ KEY: value, "other.key": value }`; values are expressions | none |
/// | `port` | 1 to 65535 | 8080 |
/// | `udp_port` | 1 to 65535; where links over `udp` lead | as `port` |
/// | `control_port` | 1 to 65535; of the chaos control endpoint | none |
/// | `health` | `tcp`, or a path that answers with a 2xx status | `tcp` |
/// | `within` | how long starting may take, such as `30s` | `30s` |
/// | `instances` | 1 to 32 | 1 |
/// | `standby` | how many of them are not started until a fault scales the service up; 0 to 31 | 0 |
/// | `restart` | `always`: started again when it ends by itself; `never` | `never` |
/// | `volumes` | `{ "/data": 64 MiB }`, in memory, or an expression for bytes; containers only | none |
/// | `disks` | `["/data"]`, on the engine's disk; containers only | none |
///
/// Arguments and values of `env` may hold placeholders, such as `{listen}` or `{order.url}`; see
/// [`Service`](crate::topology::Service).
///
/// ```compile_fail
/// chaos_harness::topology! { shop: gateway { cargo: "shop" } gateway -> order } // no service is named `order`
/// ```
#[macro_export]
macro_rules! topology {
    ($($topology:tt)*) => { $crate::__private::topology_in! { [$crate] $($topology)* } };
}
