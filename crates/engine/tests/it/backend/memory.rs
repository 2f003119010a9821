use std::sync::Arc;

use tintype_engine::backend::conformance::{Extent, assert_conforms};
use tintype_engine::backend::{
    BoundedBackend, Counters, CountingBackend, LimitedBackend, MemoryBackend, Retries,
    RetryBackend, RetryPolicy, SingleWriterBackend,
};
use tintype_engine::env::testing::manual;

#[test]
fn memory_conforms() {
    assert_conforms(&MemoryBackend::new(), &manual(1).0, Extent::FULL);
}

#[test]
fn decorators_change_nothing() {
    let (env, _) = manual(2);
    let memory = Arc::new(MemoryBackend::new());
    let counted = Arc::new(CountingBackend::new(memory, Arc::new(Counters::default())));
    let bounded = Arc::new(BoundedBackend::new(counted, 3));
    let single = Arc::new(SingleWriterBackend::new(bounded));
    let limit = std::num::NonZeroU64::new(1_000_000);
    let limited = Arc::new(LimitedBackend::new(single, limit, limit, &env));
    let retries = Retries::new(RetryPolicy::NETWORK, &env);
    assert_conforms(&RetryBackend::new(limited, retries), &env, Extent::FULL);
}
