//! Resilience tests for distributed systems.
