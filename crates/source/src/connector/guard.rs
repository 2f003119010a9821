//! What the guard must know to end a freeze.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Given to a process of its own before the window: if the pipe to it closes, or the deadline
/// passes, it thaws ([`Connector::thaw`](super::Connector::thaw)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guarded {
    pub connector: String,
    /// The resource, for messages.
    pub name: String,
    /// The connector's own: a path, a socket.
    pub what: Value,
}
