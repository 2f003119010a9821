//! From the parts of a view to sections of the tree.

use std::sync::Arc;

use tintype_model::entry::{Kind, Node, Time};
use tintype_source::connector::{Content, Part};
use tintype_source::files::WalkOptions;

use super::GroupOptions;
use crate::snapshot::section::{Section, What};

pub(super) struct Walking<'o> {
    pub options: &'o GroupOptions,
    pub is_view: bool,
    pub now: Time,
}

pub(super) fn of_part(part: Part, place: &str, item: usize, walking: Walking<'_>) -> Section {
    let path = match part.at.is_empty() {
        true => place.as_bytes().to_vec(),
        false => [place.as_bytes(), b"/", &part.at[..]].concat(),
    };
    let what = match part.content {
        Content::Files { root, excludes, one_file_system, never_enter, grafts, changed } => {
            let own = walking.options.never_enter.iter().copied();
            let options = WalkOptions {
                base: root.clone(),
                prefix: path.clone(),
                excludes: Arc::clone(&excludes),
                one_file_system,
                never_enter: own.chain(never_enter).collect(),
                grafts,
                ahead_bytes: walking.options.ahead_bytes,
                ..WalkOptions::default()
            };
            let is_view = walking.is_view;
            What::Walk { roots: vec![root], options: Box::new(options), is_view, changed }
        }
        Content::Image { node, image, changed } => What::Image { node, image, changed },
        Content::Stream { node, read, end } => What::Stream { node, read, end },
        Content::Object(bytes) => What::Object { node: node(walking.now), bytes },
    };
    Section { path, what, item: Some(item) }
}

/// A definition that belongs to no item.
pub(super) fn object(path: Vec<u8>, bytes: Vec<u8>, now: Time) -> Section {
    Section { path, what: What::Object { node: node(now), bytes }, item: None }
}

fn node(now: Time) -> Node {
    Node { mode: 0o600, mtime: now, ctime: now, ..Node::new(Kind::File) }
}
