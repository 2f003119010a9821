//! The process that thaws what a run froze, when the run is dead or late, and removes what it left.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use tintype_engine::cancel::Cancel;
use tintype_engine::env::Env;
use tintype_model::Result;
use tintype_source::connector::Context;

/// The life of that process; orders come on standard input. Gives what it did that the run should
/// have done, in words.
pub fn guard(env: &Env) -> Result<Vec<String>> {
    let context = Context {
        clock: Arc::clone(&env.clock),
        tasks: Arc::clone(&env.tasks),
        cancel: Cancel::default(),
        session: "0000000000000000".into(),
        series: String::new(),
        living: Arc::new(BTreeSet::<String>::new()),
        scratch: PathBuf::new(),
        written_devices: Vec::new(),
        passwords: tintype_source::connector::Passwords::default(),
        quiesce: true,
    };
    crate::group::guard(&tintype_source::connectors(), &context)
}
