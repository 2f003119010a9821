//! Directories get their metadata when all that lies below them is there: whatever is still to
//! be written below one holds it.

use std::sync::Arc;

use tintype_model::entry::{Node, is_within};

use super::content::Shared;

struct Directory {
    path: Vec<u8>,
    node: Node,
    above: Hold,
}

impl Drop for Directory {
    /// Iterative: after an interrupted restore a chain of a hundred thousand directories must
    /// not overflow the stack.
    fn drop(&mut self) {
        let mut next = self.above.0.take();
        while let Some(directory) = next {
            next = Arc::into_inner(directory).and_then(|mut directory| directory.above.0.take());
        }
    }
}

/// Keeps a directory, and those above it, from being finished. To be released, not dropped:
/// what is dropped stays unfinished, as after a failure.
#[derive(Clone, Default)]
pub(super) struct Hold(Option<Arc<Directory>>);

impl Hold {
    /// Whoever releases a directory last puts on its metadata.
    pub(super) fn release(self, shared: &Shared<'_, '_>) {
        let mut hold = self;
        while let Some(mut directory) = hold.0.and_then(Arc::into_inner) {
            match shared.target.finish_dir(&directory.path, &directory.node) {
                Ok(problems) => shared.imperfect(&directory.path, problems),
                Err(error) => shared.failed(&directory.path, &error),
            }
            hold = std::mem::take(&mut directory.above);
        }
    }
}

/// The directories that the feeder is in, from the top down.
#[derive(Default)]
pub(super) struct Stack(Vec<Hold>);

impl Stack {
    pub(super) fn enter(&mut self, path: Vec<u8>, node: Node) {
        let above = self.hold();
        self.0.push(Hold(Some(Arc::new(Directory { path, node, above }))));
    }

    /// Releases the directories that `path` does not lie in: entries come in tree order, so
    /// nothing that belongs into them comes any more.
    pub(super) fn leave_for(&mut self, path: &[u8], shared: &Shared<'_, '_>) {
        while let Some(Hold(Some(last))) = self.0.last()
            && !is_within(path, &last.path)
        {
            self.0.pop().expect("looked at").release(shared);
        }
    }

    pub(super) fn leave_all(&mut self, shared: &Shared<'_, '_>) {
        while let Some(last) = self.0.pop() {
            last.release(shared);
        }
    }

    /// A hold on the innermost directory.
    pub(super) fn hold(&self) -> Hold {
        self.0.last().cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use tintype_model::entry::{Kind, Node};

    use super::Stack;

    #[test]
    fn a_deep_chain_is_dropped_without_recursion() {
        let node = Node::new(Kind::Directory);
        let mut stack = Stack::default();
        for _ in 0..100_000 {
            stack.enter(b"directory".to_vec(), node.clone());
        }
        let innermost = stack.hold();
        drop(stack);
        drop(innermost);
    }
}
