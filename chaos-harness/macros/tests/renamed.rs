//! The macros work where the library has another name, and where another crate hands it on.

mod kit {
    pub(crate) mod testing {
        pub(crate) use resilience as chaos;
    }
}

mod by_its_name {
    use resilience::prelude::*;

    #[chaos_test(seed = 7, runtime = "process")]
    async fn a_renamed_library_is_found(lab: Lab) -> resilience::Result<()> {
        assert_eq!((lab.seed(), lab.test_name()), (7, "by_its_name::a_renamed_library_is_found"));
        let system = topology! { shop: order { program: "/bin/true", within: 1s } };
        assert!(system.validate().is_ok() && hypothesis!(p99("/orders") < 250ms).validate().is_ok());
        let _ = partition! { order | users };
        Ok(())
    }
}

mod handed_on {
    use crate::kit::testing::chaos::prelude::Lab;
    use crate::kit::testing::chaos::{self, topology};

    #[chaos::chaos_test]
    async fn a_library_of_another_crate_is_found(_lab: Lab) -> chaos::Result<()> {
        assert!(topology! { shop: order { program: "/bin/true" } }.validate().is_ok());
        Ok(())
    }

    #[chaos::chaos_test(crate = crate::kit::testing::chaos, timeout = 1min)]
    async fn its_path_may_be_named(_lab: Lab) -> chaos::Result<()> {
        assert!(chaos::hypothesis!(mttr < 2min).validate().is_ok());
        Ok(())
    }

    #[chaos::chaos_test(crate = "crate::kit::testing::chaos")]
    async fn its_path_may_be_named_in_quotes(_lab: Lab) -> chaos::Result<()> {
        Ok(())
    }
}
