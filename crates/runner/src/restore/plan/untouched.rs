//! What a restore leaves as it is, or does not make, though nothing is wrong: it is named.

use tintype_model::entry::{Kind, Node};

use super::super::Action;

/// So many are named; all are counted.
pub(super) const NAMED: usize = 1000;

pub struct Untouched {
    /// In the target.
    pub path: Vec<u8>,
    pub action: Action,
    pub why: &'static str,
}

/// Why nothing is done about an entry, where somebody would wonder.
pub(super) fn reason(action: Action, node: &Node) -> Option<&'static str> {
    match action {
        Action::Keep if node.kind == Kind::Image => {
            Some("nothing tells whether what stands there differs")
        }
        Action::Keep => Some("what stands there differs"),
        Action::KeepMetadata => Some("the content is the same; owner, mode or attributes differ"),
        Action::Skip if node.kind == Kind::Socket => {
            Some("a socket: the program that listens there makes it")
        }
        _ => None,
    }
}
