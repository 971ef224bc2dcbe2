//! Any method, path and body: read without a panic, and what is read makes sense.
#![no_main]

use chaos_harness::toxiproxy::{Attributes, Call};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, &[u8])| {
    let (method, path, body) = input;
    check(Call::parse(method, path, body));
    // Most random methods and paths are none, so that bodies also go where they are read.
    for (method, path) in [
        ("POST", "/proxies"),
        ("POST", "/populate"),
        ("PATCH", "/proxies/a"),
        ("POST", "/proxies/a/toxics"),
        ("PATCH", "/proxies/a/toxics/b"),
    ] {
        check(Call::parse(method, path, body));
    }
});

fn check(call: Result<Call, chaos_harness::toxiproxy::ApiError>) {
    match call {
        Ok(Call::UpdateToxic(_, _, Ok(change))) => {
            for name in Attributes::TYPES {
                let before = Attributes::zero(name).expect("a known type");
                if let Ok(after) = change.applied_to(before) {
                    assert_eq!(after.name(), *name);
                }
            }
        }
        Ok(_) => {}
        Err(error) => assert!((400..600).contains(&error.status()), "{error}"),
    }
}
