//! Shared parts of the experiments: the shop as a topology.
