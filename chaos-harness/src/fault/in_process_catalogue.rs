//! The faults inside services, as they are listed.

use std::time::Duration;

use super::catalogue::{Catalogued, Entry};
use super::{FailPointFault, InProcess, target};

/// Long enough to be told from a healthy answer.
const SLOW: Duration = Duration::from_millis(300);

impl Catalogued for InProcess {
    fn entries() -> Vec<Entry> {
        let requests = || target("product").in_process().path("/products");
        let entry = Entry::new(
            "requests inside a service delayed, failed, held up, turned away",
            "`target(\"a\").in_process().path(\"/stock/*\").share(0.2).delay(..)`, `.error(503)`, `.hang(..)`, \
             `.rate_limit(10, 60.secs())`",
            [
                requests().delay(SLOW),
                requests().error(503),
                requests().hang(SLOW),
                requests().rate_limit(0, SLOW * 100),
            ],
        );
        vec![entry.privileges("none; the service has a `ChaosLayer`")]
    }
}

impl Catalogued for FailPointFault {
    fn entries() -> Vec<Entry> {
        let point = || target("product").fail_point("product::list");
        let entry = Entry::new(
            "a function inside a service fails, sleeps, panics",
            "`target(\"a\").fail_point(\"stock::reserve\").returns(\"disk full\")`, `.sleeps(..)`, `.panics(..)`",
            [point().returns("out of tea"), point().sleeps(SLOW), point().panics("no tea")],
        );
        vec![entry.privileges("none; the function has a `fail_point!`")]
    }
}
