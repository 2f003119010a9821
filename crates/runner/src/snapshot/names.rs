//! Files with several names: what was learned under the first serves all others.

use std::collections::HashMap;

use tintype_model::entry::Node;
use tintype_model::resource::place_in;

/// What is known of files by device and inode, which are numbers of a host and of a moment: in
/// another resource's place, which may be of another of both, the same ones are other files. Paths
/// come in path order.
pub(crate) struct Inodes<T> {
    place: Vec<u8>,
    known: HashMap<(u64, u64), T>,
}

impl<T> Inodes<T> {
    pub(crate) fn new() -> Self {
        Self { place: Vec::new(), known: HashMap::new() }
    }

    /// Those of the place that `path` lies in.
    pub(crate) fn at(&mut self, path: &[u8]) -> &mut HashMap<(u64, u64), T> {
        let place = place_in(path);
        if self.place != place {
            self.known.clear();
            self.place = place.to_vec();
        }
        &mut self.known
    }
}

/// What is known of files, forgotten when all their names were seen: names outside of what is
/// captured never come, so some of it stays.
pub(crate) struct Names<T> {
    known: Inodes<Known<T>>,
}

struct Known<T> {
    /// Names that may still come.
    left: u32,
    value: T,
}

impl<T> Names<T> {
    pub(crate) fn new() -> Self {
        Self { known: Inodes::new() }
    }

    /// A name of the file `node` was met. True for the first; `value` is kept for the others.
    pub(crate) fn meet(&mut self, path: &[u8], node: &Node, value: impl FnOnce() -> T) -> bool
    where
        T: Clone,
    {
        if node.links < 2 {
            return true;
        }
        if self.follow(path, node).is_some() {
            return false;
        }
        let known = Known { left: node.links - 1, value: value() };
        self.known.at(path).insert((node.device, node.inode), known);
        true
    }

    /// What the first name left for this one, if it is known.
    pub(crate) fn follow(&mut self, path: &[u8], node: &Node) -> Option<T>
    where
        T: Clone,
    {
        let key = (node.device, node.inode);
        let files = self.known.at(path);
        let known = files.get_mut(&key)?;
        known.left -= 1;
        if known.left == 0 {
            return files.remove(&key).map(|known| known.value);
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
        assert!(names.meet(b"a", &node(7, 1), || 0) && names.known.at(b"a").is_empty());
        assert!(names.meet(b"b", &node(8, 3), || 5));
        assert!(!names.meet(b"c", &node(8, 3), || 6));
        assert_eq!(names.follow(b"d", &node(8, 3)), Some(5));
        assert!(names.known.at(b"d").is_empty());
        assert_eq!(names.follow(b"e", &node(8, 3)), None);
    }

    /// Views of two volumes, one made after the other was gone, have one device number; so may
    /// disks of two hosts.
    #[test]
    fn a_file_of_another_resource_is_another_file() {
        let mut names = Names::new();
        assert!(names.meet(b"tenants/system/volumes/a/f", &node(8, 2), || 5));
        assert!(names.meet(b"tenants/system/volumes/b/f", &node(8, 2), || 6));
        assert_eq!(names.follow(b"tenants/system/volumes/b/g", &node(8, 2)), Some(6));
        assert!(names.meet(b"files/a/f", &node(8, 2), || 7));
        assert!(!names.meet(b"files/b/f", &node(8, 2), || 8));
    }
}
