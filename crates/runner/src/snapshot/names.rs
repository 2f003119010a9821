//! Files with several names: what was learned under the first serves all others.

use std::collections::HashMap;

use tintype_model::entry::Node;

/// What is known of files by device and inode, forgotten when all their names were seen: names
/// outside of what is captured never come, so some of it stays.
pub(crate) struct Names<T> {
    known: HashMap<(u64, u64), Known<T>>,
}

struct Known<T> {
    /// Names that may still come.
    left: u32,
    value: T,
}

impl<T> Names<T> {
    pub(crate) fn new() -> Self {
        Self { known: HashMap::new() }
    }

    /// A name of the file `node` was met. True for the first; `value` is kept for the others.
    pub(crate) fn meet(&mut self, node: &Node, value: impl FnOnce() -> T) -> bool
    where
        T: Clone,
    {
        if node.links < 2 {
            return true;
        }
        if self.follow(node).is_some() {
            return false;
        }
        let known = Known { left: node.links - 1, value: value() };
        self.known.insert((node.device, node.inode), known);
        true
    }

    /// What the first name left for this one, if it is known.
    pub(crate) fn follow(&mut self, node: &Node) -> Option<T>
    where
        T: Clone,
    {
        let key = (node.device, node.inode);
        let known = self.known.get_mut(&key)?;
        known.left -= 1;
        if known.left == 0 {
            return self.known.remove(&key).map(|known| known.value);
        }
        Some(known.value.clone())
    }
}

#[cfg(test)]
mod tests {
    use tintype_model::entry::Kind;

    use super::*;

    fn node(inode: u64, links: u32) -> Node {
        Node { size: 1, inode, device: 1, links, ..Node::new(Kind::File) }
    }

    #[test]
    fn a_file_is_forgotten_with_its_last_name() {
        let mut names = Names::new();
        assert!(names.meet(&node(7, 1), || 0) && names.known.is_empty());
        assert!(names.meet(&node(8, 3), || 5));
        assert!(!names.meet(&node(8, 3), || 6));
        assert_eq!(names.follow(&node(8, 3)), Some(5));
        assert!(names.known.is_empty());
        assert_eq!(names.follow(&node(8, 3)), None);
    }
}
