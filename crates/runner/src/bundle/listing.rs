//! Reads `tintype-entries.jsonl`, line by line, and believes none of it.

use std::io::{self, BufRead as _, BufReader, Read};

use tintype_model::entry::{Kind, Node, Xattr, path_order};
use tintype_model::{Error, Result};

use super::ENTRIES;
use super::names;
use super::read_at::broken;
use super::record::{Form, HOLES, Line, MOST_LINE_BYTES, MOST_XATTRS_BYTES};

/// An entry as its lines say; holes follow.
pub(super) struct Listed {
    pub path: Vec<u8>,
    pub node: Node,
    pub form: Option<Form>,
}

pub(super) struct Listing {
    read: BufReader<Box<dyn Read + Send>>,
    hasher: blake3::Hasher,
    /// The line that comes next, if it was looked at.
    line: Vec<u8>,
    is_ahead: bool,
    number: u64,
    /// Holes of a line that were not given yet, the last first.
    holes: Vec<(u64, u64)>,
    /// Where the last hole ended.
    hole_end: u64,
    order: Order,
}

impl Listing {
    pub(super) fn new(read: Box<dyn Read + Send>) -> Self {
        Self {
            read: BufReader::with_capacity(1 << 16, read),
            hasher: blake3::Hasher::new(),
            line: Vec::new(),
            is_ahead: false,
            number: 0,
            holes: Vec::new(),
            hole_end: 0,
            order: Order::default(),
        }
    }

    fn wrong(&self, error: &Error) -> Error {
        Error::new(error.kind(), format!("{ENTRIES}: line {}: {}", self.number, error.message()))
    }

    /// Looks at the next line; false at the end.
    fn ahead(&mut self) -> Result<bool> {
        if self.is_ahead {
            return Ok(true);
        }
        self.line.clear();
        let most = MOST_LINE_BYTES as u64;
        let length =
            (&mut self.read).take(most).read_until(b'\n', &mut self.line).map_err(of_reading)?;
        if length == 0 {
            return Ok(false);
        }
        self.number += 1;
        self.hasher.update(&self.line);
        if self.line.pop() != Some(b'\n') {
            return Err(self.wrong(&Error::corrupt("has no end, or is too long")));
        }
        self.is_ahead = true;
        Ok(true)
    }

    fn parse(line: &[u8]) -> Result<Line<'_>> {
        serde_json::from_slice(line)
            .map_err(|error| Error::corrupt(format!("is no line of a bundle ({error})")))
    }

    /// The next entry; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Listed>> {
        if self.next_hole()?.is_some() {
            return Err(self.wrong(&Error::corrupt("holes beyond the content")));
        }
        if !self.ahead()? {
            return Ok(None);
        }
        self.is_ahead = false;
        let listed = Self::parse(&self.line).and_then(|line| {
            let Line::Entry(mut line) = line else {
                return Err(Error::corrupt("belongs to no entry"));
            };
            let path = line.path()?;
            let (node, form) = line.node()?;
            Ok(Listed { path, node, form })
        });
        let mut listed = listed.map_err(|error| self.wrong(&error))?;
        self.order.check(&listed.path, &listed.node).map_err(|error| self.wrong(&error))?;
        self.hole_end = 0;
        let xattrs = self.xattrs()?;
        if !xattrs.is_empty() {
            listed.node.extras_mut().xattrs = xattrs;
        }
        Ok(Some(listed))
    }

    fn xattrs(&mut self) -> Result<Vec<Xattr>> {
        let mut xattrs: Vec<Xattr> = Vec::new();
        let mut total = 0;
        while self.ahead()? {
            let line = Self::parse(&self.line).map_err(|error| self.wrong(&error))?;
            let Line::Xattr(line) = line else { break };
            let xattr = line.xattr().map_err(|error| self.wrong(&error))?;
            total += xattr.name.len() + xattr.value.len();
            let is_first = xattrs.last().is_none_or(|last| last.name < xattr.name);
            let most = tintype_engine::format::limits::XATTRS;
            if !is_first || total > MOST_XATTRS_BYTES || xattrs.len() >= most {
                return Err(self.wrong(&Error::corrupt("xattrs are not in order, or too many")));
            }
            xattrs.push(xattr);
            self.is_ahead = false;
        }
        Ok(xattrs)
    }

    /// Offset and length of the next hole of the entry that was given last.
    pub(super) fn next_hole(&mut self) -> Result<Option<(u64, u64)>> {
        if self.holes.is_empty() {
            if !self.ahead()? {
                return Ok(None);
            }
            // Nothing but a line of holes begins so.
            if !self.line.starts_with(b"{\"holes\"") {
                return Ok(None);
            }
            let line = Self::parse(&self.line).map_err(|error| self.wrong(&error))?;
            if let Line::Holes(mut holes) = line {
                if holes.is_empty() || holes.len() > HOLES {
                    return Err(self.wrong(&Error::corrupt("no holes, or too many")));
                }
                holes.reverse();
                self.holes = holes;
            }
            self.is_ahead = false;
        }
        let Some((offset, length)) = self.holes.pop() else { return Ok(None) };
        let end = offset.checked_add(length);
        let touches = self.hole_end > 0 && offset <= self.hole_end;
        match end {
            Some(end) if length > 0 && !touches => {
                self.hole_end = end;
                Ok(Some((offset, length)))
            }
            _ => Err(self.wrong(&Error::corrupt("holes are not in order"))),
        }
    }

    /// After the last entry: the hash of all lines.
    pub(super) fn hash(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }
}

fn of_reading(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => broken(error, ENTRIES),
    }
}

/// Whether entries come as in a tree: ascending, each in a directory that came before.
#[derive(Default)]
struct Order {
    last: Vec<u8>,
    /// Whether the last entry, and each that it lies in, can have something below: by length of
    /// the path.
    open: Vec<usize>,
}

impl Order {
    fn check(&mut self, path: &[u8], node: &Node) -> Result<()> {
        let shown = || format!("/{}", String::from_utf8_lossy(path));
        if !self.last.is_empty() && path_order(&self.last, path).is_ge() {
            return Err(Error::corrupt(format!("{} is there twice, or out of order", shown())));
        }
        let common = self.last.iter().zip(path).take_while(|(a, b)| a == b).count();
        // A directory stays open where the whole of it is followed by a slash.
        self.open.retain(|length| {
            *length <= common && path.get(*length).is_some_and(|byte| *byte == b'/')
        });
        let parent = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        if parent > 0 && self.open.last() != Some(&parent) {
            return Err(Error::corrupt(format!("{} does not lie in a directory", shown())));
        }
        if parent == 0 {
            names::check(path).map_err(|error| Error::corrupt(error.message()))?;
        }
        if node.kind == Kind::Directory {
            self.open.push(path.len());
        }
        path.clone_into(&mut self.last);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(text: &str) -> Listing {
        Listing::new(Box::new(io::Cursor::new(text.as_bytes().to_vec())))
    }

    fn line(path: &str, kind: &str, more: &str) -> String {
        format!("{{\"entry\":{{\"path\":\"{path}\",\"kind\":\"{kind}\",\"mode\":420{more}}}}}\n")
    }

    fn all(text: &str) -> Result<Vec<Listed>> {
        let mut listing = listing(text);
        let mut found = Vec::new();
        while let Some(listed) = listing.next()? {
            while listing.next_hole()?.is_some() {}
            found.push(listed);
        }
        Ok(found)
    }

    #[test]
    fn entries_come_as_in_a_tree() {
        let directory = |path: &str| line(path, "directory", "");
        let file = |path: &str| line(path, "file", "");
        let good = [directory("a"), directory("a/b"), file("a/b/c"), file("a/d"), file("a.txt")];
        assert_eq!(all(&good.concat()).unwrap().len(), 5);
        let bad = [
            vec![file("a"), file("a/b")],
            vec![line("a", "symlink", ",\"target\":\"/etc\""), file("a/b")],
            vec![directory("a"), file("a/b/c")],
            vec![file("files/x")],
            vec![directory("b"), file("a")],
            vec![directory("a"), directory("a")],
            vec![directory("a"), directory("ab"), file("a/b")],
            vec![file("/etc/passwd")],
            vec![file("..")],
            vec![directory("a"), file("a/../b")],
            vec![directory("a"), file("a//b")],
            vec![file("tintype-end.json")],
            vec![line("a", "directory", ",\"size\":4")],
            vec![line("a", "file", ",\"size\":4")],
            vec![line("a", "file", ",\"content\":\"chunks\"")],
            vec![line("a", "file", ",\"target\":\"b\"")],
            vec![line("a", "file", ",\"mtime\":[1,1000000000]")],
            vec![line("a", "folder", "")],
        ];
        for lines in bad {
            assert!(all(&lines.concat()).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn what_belongs_to_no_entry_is_refused() {
        let file = line("a", "file", ",\"size\":9,\"content\":\"chunks\"");
        let holes = "{\"holes\":[[0,4],[6,2]]}\n";
        assert_eq!(all(&format!("{file}{holes}")).unwrap().len(), 1);
        assert!(all(holes).is_err());
        let xattr = "{\"xattr\":{\"name\":\"user.a\",\"value\":\"00\"}}\n";
        assert!(all(xattr).is_err());
        assert!(all(&format!("{file}{xattr}{xattr}")).is_err(), "twice");
        assert!(all(&format!("{file}{holes}{xattr}")).is_err(), "after holes");
        for holes in
            ["[[4,4],[6,2]]", "[[0,4],[4,2]]", "[[0,0]]", "[]", "[[5,18446744073709551615]]"]
        {
            assert!(all(&format!("{file}{{\"holes\":{holes}}}\n")).is_err(), "{holes}");
        }
        assert!(all("{\"entry\":").is_err() && all("\n").is_err());
    }
}
