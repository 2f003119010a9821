//! exports(5): each line a directory and who may reach it.

use super::{Export, Kind, MOST_EXPORTS, path};
use crate::volume::mounts::unescaped;

/// What cannot be understood is left out. A directory that is listed for several clients on several
/// lines is one.
pub(super) fn parse(text: &[u8]) -> Vec<Export> {
    let mut found: Vec<Export> = Vec::new();
    for line in lines(text) {
        let Some(path) = directory(&line).and_then(|bytes| path(&bytes)) else { continue };
        let is_known = found.iter().any(|export| export.path == path);
        if !is_known && found.len() < MOST_EXPORTS {
            let name = path.file_name().map_or_else(|| "root".into(), |n| n.to_string_lossy());
            found.push(Export { name: name.into_owned(), kind: Kind::Nfs, path });
        }
    }
    found
}

/// A backslash at the end continues a line; `#` begins a comment.
fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = vec![Vec::new()];
    for line in text.split(|byte| *byte == b'\n') {
        let end = line.iter().position(|byte| *byte == b'#').unwrap_or(line.len());
        let last = lines.last_mut().expect("it begins with one");
        match line[..end].strip_suffix(b"\\") {
            Some(first) if end == line.len() => last.extend_from_slice(first),
            _ => {
                last.extend_from_slice(&line[..end]);
                lines.push(Vec::new());
            }
        }
    }
    lines
}

fn directory(line: &[u8]) -> Option<Vec<u8>> {
    let line = line.trim_ascii();
    let field = match line.strip_prefix(b"\"") {
        Some(rest) => &rest[..rest.iter().position(|byte| *byte == b'"')?],
        None => line.split(u8::is_ascii_whitespace).next()?,
    };
    let mut path = unescaped(field);
    while path.len() > 1 && path.last() == Some(&b'/') {
        path.pop();
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_with_escapes_quotes_and_several_clients() {
        let text = b"# comment\n\
            /srv/a host1(rw,sync) host2(ro) # more\n\
            /srv/a  192.168.0.0/24(rw)\n\
            /srv/with\\040blank *(rw)\n\
            \"/srv/quoted name/\" \\\n   host(rw)\n\
            relative host(rw)\n\
            \"/never closed\n\
            / host(ro)\n";
        let found = parse(text);
        let found: Vec<_> = found.iter().map(|e| (&e.name[..], e.path.to_str().unwrap())).collect();
        assert_eq!(
            found,
            [
                ("a", "/srv/a"),
                ("with blank", "/srv/with blank"),
                ("quoted name", "/srv/quoted name"),
                ("root", "/"),
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn changed_files_are_read(bytes in tintype_testkit::hostile::changed([
            "/srv/a host1(rw,sync) host2(ro) # more\n\"/srv/quoted name/\" \\\n host(rw)\n/b\\040c *\n",
        ])) {
            for export in parse(&bytes) {
                assert!(export.path.is_absolute(), "{export:?}");
            }
        }
    }
}
