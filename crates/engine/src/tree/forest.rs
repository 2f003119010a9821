//! Walks many trees at once and reads every distinct page once, however many trees share it.
//!
//! Level by level, from the highest down: when a level is read, all parents of its pages were
//! read, so it is known for every page which trees it belongs to. Within a level pages come in
//! path order. In memory: the names of one level's pages.

use std::collections::HashMap;
use std::sync::Arc;

use tintype_model::entry::path_order;
use tintype_model::{Error, Result};

use super::cursor::{Page, read_page};
use super::span::Span;
use super::{Child, Root};
use crate::cancel::Cancel;
use crate::format::limits;
use crate::parallel;
use crate::reader::{ContentReader, ReadBuffer};

/// Pages that are read before the results are handed on.
const BATCH: usize = 256;

/// A page of some of the trees.
pub struct Visit<'v> {
    /// As the parent names it; a root has an empty first path.
    pub child: &'v Child,
    pub level: u8,
    /// Its paths are before this one.
    pub below: Option<&'v [u8]>,
    /// Numbers of the trees that hold it, ascending.
    pub trees: &'v [u32],
}

pub struct Forest<'f, 'r> {
    pub reader: &'f ContentReader<'r>,
    pub workers: usize,
    pub cancel: &'f Cancel,
    pub span: Span<'f>,
}

struct Pending {
    below: Option<Vec<u8>>,
    set: u32,
}

type Level = HashMap<Child, Pending>;

impl Forest<'_, '_> {
    /// Reads and checks every page of `roots`. Workers `examine` each, or what is wrong with
    /// it; `each` gets the results one after the other. An unreadable page is passed over with
    /// everything below it.
    pub fn walk<T: Send>(
        &self,
        roots: &[Root],
        examine: &(dyn Fn(&mut ReadBuffer, &Visit<'_>, Result<Page>) -> T + Sync),
        each: &mut dyn FnMut(&Visit<'_>, T) -> Result<()>,
    ) -> Result<()> {
        let mut sets = Sets::default();
        let highest = roots.iter().map(|root| root.level).max().unwrap_or(0);
        let mut levels: Vec<Level> = (0..=highest).map(|_| Level::new()).collect();
        for (number, root) in roots.iter().enumerate() {
            let set = sets.intern(vec![number as u32]);
            let child = Child::of_root(root);
            sets.add(&mut levels[root.level as usize], child, None, set);
        }
        for level in (0..=highest).rev() {
            let mut pages: Vec<(Child, Pending)> =
                std::mem::take(&mut levels[level as usize]).into_iter().collect();
            pages.sort_by(|(a, _), (b, _)| {
                path_order(&a.first, &b.first).then_with(|| a.id.cmp(&b.id))
            });
            for batch in pages.chunks(BATCH) {
                self.cancel.check()?;
                let results = self.read(batch, level, &sets, examine)?;
                for ((child, pending), (children, result)) in batch.iter().zip(results) {
                    if let Some(below) = level.checked_sub(1) {
                        let level = &mut levels[below as usize];
                        self.descend(level, &mut sets, children, pending);
                    }
                    each(&visit(child, level, pending, &sets), result)?;
                }
            }
        }
        Ok(())
    }

    fn read<T: Send>(
        &self,
        batch: &[(Child, Pending)],
        level: u8,
        sets: &Sets,
        examine: &(dyn Fn(&mut ReadBuffer, &Visit<'_>, Result<Page>) -> T + Sync),
    ) -> Result<Vec<(Vec<Child>, T)>> {
        let env = self.reader.repository().env();
        parallel::map(env, self.workers, batch, ReadBuffer::new, |buffer, (child, pending)| {
            let page = self.page(buffer, child, level, pending.below.as_deref());
            let children = match &page {
                Ok(Page::Inner(children)) => children.clone(),
                _ => Vec::new(),
            };
            (children, examine(buffer, &visit(child, level, pending, sets), page))
        })
    }

    fn page(
        &self,
        buffer: &mut ReadBuffer,
        child: &Child,
        level: u8,
        below: Option<&[u8]>,
    ) -> Result<Page> {
        if level > limits::TREE_LEVEL {
            return Err(Error::corrupt(format!("page {}: level {level} is too high", child.id)));
        }
        let first = (!child.first.is_empty()).then_some(&child.first[..]);
        let page = read_page(self.reader, buffer, &child.id, level, first, below)?;
        child.check_counts(&page)?;
        Ok(page)
    }

    fn descend(&self, level: &mut Level, sets: &mut Sets, children: Vec<Child>, parent: &Pending) {
        let mut below = parent.below.clone();
        for child in children.into_iter().rev() {
            let first = child.first.clone();
            if self.span.meets(&first, below.as_deref()) {
                sets.add(level, child, below, parent.set);
            }
            below = Some(first);
        }
    }
}

fn visit<'v>(child: &'v Child, level: u8, pending: &'v Pending, sets: &'v Sets) -> Visit<'v> {
    let trees = &sets.all[pending.set as usize];
    Visit { child, level, below: pending.below.as_deref(), trees }
}

/// Sets of trees, each kept once: there are few, and pages are many.
#[derive(Default)]
struct Sets {
    all: Vec<Arc<[u32]>>,
    numbers: HashMap<Arc<[u32]>, u32>,
    unions: HashMap<(u32, u32), u32>,
}

impl Sets {
    fn intern(&mut self, set: Vec<u32>) -> u32 {
        let set: Arc<[u32]> = set.into();
        if let Some(number) = self.numbers.get(&set) {
            return *number;
        }
        let number = self.all.len() as u32;
        self.all.push(Arc::clone(&set));
        self.numbers.insert(set, number);
        number
    }

    fn union(&mut self, a: u32, b: u32) -> u32 {
        if a == b {
            return a;
        }
        if let Some(known) = self.unions.get(&(a, b)) {
            return *known;
        }
        let mut both = [&self.all[a as usize][..], &self.all[b as usize][..]].concat();
        both.sort_unstable();
        both.dedup();
        let number = self.intern(both);
        self.unions.insert((a, b), number);
        number
    }

    /// A page that several parents name keeps the narrowest of their bounds.
    fn add(&mut self, level: &mut Level, child: Child, below: Option<Vec<u8>>, set: u32) {
        match level.get_mut(&child) {
            None => {
                level.insert(child, Pending { below, set });
            }
            Some(pending) => {
                pending.set = self.union(pending.set, set);
                pending.below = match (pending.below.take(), below) {
                    (Some(a), Some(b)) => Some(if path_order(&a, &b).is_lt() { a } else { b }),
                    (a, b) => a.or(b),
                };
            }
        }
    }
}
