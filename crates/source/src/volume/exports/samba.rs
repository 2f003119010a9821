//! smb.conf(5): sections, each a share, with parameters whose names ignore case and blanks.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Export, Includes, Kind, MOST_EXPORTS, path};

/// Sections that are no directory of one's own.
const NO_SHARES: [&str; 4] = ["global", "homes", "printers", "print$"];

type Section = BTreeMap<String, Vec<u8>>;

/// What cannot be understood is left out. `include`: the text of another file.
pub(super) fn parse(text: &[u8], include: &mut dyn FnMut(&Path) -> Vec<u8>) -> Vec<Export> {
    let mut sections: Vec<(String, Section)> = Vec::new();
    read(text, &mut sections, &mut Includes::new(include), 0);
    let all: BTreeMap<String, Section> =
        sections.iter().map(|(name, section)| (name.to_lowercase(), section.clone())).collect();
    sections.iter().filter_map(|(name, section)| share(name, section, &all)).collect()
}

fn share(name: &str, section: &Section, all: &BTreeMap<String, Section>) -> Option<Export> {
    if NO_SHARES.contains(&&*name.to_lowercase()) {
        return None;
    }
    let copied = section.get("copy").and_then(|of| std::str::from_utf8(of).ok());
    let copied = copied.and_then(|of| all.get(&of.to_lowercase()));
    let get = |keys: &[&str]| {
        let of = |section: &Section| keys.iter().find_map(|key| section.get(*key).cloned());
        of(section).or_else(|| copied.and_then(of))
    };
    let is = |keys: &[&str], wanted: bool| {
        let value = get(keys).map(|value| value.to_ascii_lowercase());
        let on: [&[u8]; 3] = [b"yes", b"true", b"1"];
        let off: [&[u8]; 3] = [b"no", b"false", b"0"];
        let words = if wanted { on } else { off };
        value.is_some_and(|value| words.contains(&&*value))
    };
    if is(&["printable", "printok"], true) || is(&["available"], false) {
        return None;
    }
    let of = get(&["path", "directory"])?;
    // Another directory for each user or client.
    if of.contains(&b'%') {
        return None;
    }
    Some(Export { name: name.to_owned(), kind: Kind::Samba, path: path(unquoted(&of))? })
}

fn read(
    text: &[u8],
    sections: &mut Vec<(String, Section)>,
    includes: &mut Includes<'_>,
    depth: usize,
) {
    for line in lines(text) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b";") || line.starts_with(b"#") {
            continue;
        }
        if let Some(name) = line.strip_prefix(b"[") {
            let end = name.iter().position(|byte| *byte == b']').unwrap_or(name.len());
            let name = String::from_utf8_lossy(name[..end].trim_ascii()).into_owned();
            // A section may be continued further down.
            let old = sections.iter().position(|(old, _)| old.eq_ignore_ascii_case(&name));
            let section = old.map_or_else(|| (name, Section::new()), |at| sections.remove(at));
            if sections.len() < MOST_EXPORTS {
                sections.push(section);
            }
            continue;
        }
        let Some(at) = line.iter().position(|byte| *byte == b'=') else { continue };
        let key: String = String::from_utf8_lossy(&line[..at])
            .chars()
            .filter(|letter| !letter.is_whitespace())
            .flat_map(char::to_lowercase)
            .collect();
        let value = line[at + 1..].trim_ascii();
        if key == "include" {
            if let Some(text) = includes.read(unquoted(value), depth) {
                read(&text, sections, includes, depth + 1);
            }
        } else if let Some((_, section)) = sections.last_mut() {
            section.insert(key, value.to_vec());
        }
    }
}

/// Lines, those that end with a backslash continued.
fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut open: Option<Vec<u8>> = None;
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut whole = open.take().unwrap_or_default();
        if let Some(first) = line.strip_suffix(b"\\") {
            whole.extend_from_slice(first);
            open = Some(whole);
        } else {
            whole.extend_from_slice(line);
            lines.push(whole);
        }
    }
    lines.extend(open);
    lines
}

fn unquoted(value: &[u8]) -> &[u8] {
    let inner = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    inner.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(text: &str) -> Vec<(String, String)> {
        let mut include = |path: &Path| {
            let text: &[u8] = match path.to_str() {
                Some("/etc/samba/more.conf") => {
                    b"[more]\n Path=/srv/more\n include = /etc/samba/more.conf"
                }
                _ => b"",
            };
            text.to_vec()
        };
        let found = parse(text.as_bytes(), &mut include);
        found.into_iter().map(|export| (export.name, export.path.display().to_string())).collect()
    }

    #[test]
    fn shares_are_found_and_what_is_none_is_left_out() {
        let text = "[global]\n workgroup = X\n\
            [homes]\n path = /home/%S\n\
            ; [old]\n\
            [printers]\n path = /var/spool\n printable = yes\n\
            [Data files]\n\tcomment = a\n  PA TH = \"/srv/my \\\n  data\"\r\n\
            [own]\n path = /srv/%U\n\
            [closed]\n path = /srv/c\n available = No\n\
            [second]\n copy = Data files\n\
            [print2]\n path = /x\n print ok = true\n\
            [data FILES]\n guest ok = yes\n\
            include = /etc/samba/more.conf\n";
        assert_eq!(
            shares(text),
            [
                ("second".into(), "/srv/my   data".into()),
                ("Data files".into(), "/srv/my   data".into()),
                ("more".into(), "/srv/more".into()),
            ]
        );
    }

    #[test]
    fn files_that_include_themselves_often_are_read_so_often() {
        let text = b"include = /x\ninclude = /x\n[a]\npath = /srv\n";
        let mut read = 0;
        let found = parse(text, &mut |_| {
            read += 1;
            text.to_vec()
        });
        assert_eq!((found.len(), read), (1, super::super::MOST_INCLUDED));
    }

    #[test]
    fn nonsense_is_nothing() {
        for text in ["", "[", "[]", "=", "path = /x", "[a]\npath", "[a]\npath = relative", "\\"] {
            assert!(shares(text).is_empty(), "{text:?}");
        }
    }

    proptest::proptest! {
        /// Also with what it includes: itself.
        #[test]
        fn changed_files_are_read(bytes in tintype_testkit::hostile::changed([
            "[global]\n include = /x\n[homes]\n path = /home/%S\n[Data files]\n PA TH = \"/srv/my \\\n data\"\r\n[b]\n copy = Data files\n",
        ])) {
            for export in parse(&bytes, &mut |_| bytes.clone()) {
                assert!(export.path.is_absolute(), "{export:?}");
            }
        }
    }
}
