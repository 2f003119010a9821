//! ganesha.conf: blocks in braces. Those called EXPORT tell a path, and what clients see it as.

use std::path::Path;

use super::{Export, Includes, Kind, MOST_EXPORTS, path};

/// Drivers whose paths are directories of this host.
const LOCAL: [&str; 4] = ["vfs", "xfs", "lustre", "gpfs"];

/// What cannot be understood is left out. `include`: the text of another file.
pub(super) fn parse(text: &[u8], include: &mut dyn FnMut(&Path) -> Vec<u8>) -> Vec<Export> {
    let mut found = Vec::new();
    read(text, &mut Includes::new(include), &mut found, 0);
    found
}

#[derive(Default)]
struct Block {
    path: Option<Vec<u8>>,
    pseudo: Option<Vec<u8>>,
    driver: Option<String>,
}

impl Block {
    fn export(self) -> Option<Export> {
        if self.driver.is_some_and(|driver| !LOCAL.contains(&&*driver)) {
            return None;
        }
        let path = path(&self.path?)?;
        let name = self.pseudo.as_ref().and_then(|pseudo| {
            let last = pseudo.rsplit(|byte| *byte == b'/').find(|part| !part.is_empty())?;
            Some(String::from_utf8_lossy(last).into_owned())
        });
        let name = name.or_else(|| Some(path.file_name()?.to_string_lossy().into_owned()));
        Some(Export { name: name.unwrap_or_else(|| "root".into()), kind: Kind::Nfs, path })
    }
}

fn read(text: &[u8], includes: &mut Includes<'_>, found: &mut Vec<Export>, depth: usize) {
    let words = words(text);
    let mut blocks: Vec<String> = Vec::new();
    let mut export = Block::default();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let next = words.get(at + 1).map(Vec::as_slice);
        let lower = String::from_utf8_lossy(word).to_lowercase();
        match (&lower[..], next) {
            ("%include", Some(file)) => {
                if let Some(text) = includes.read(file, depth) {
                    read(&text, includes, found, depth + 1);
                }
                at += 1;
            }
            ("}", _) => {
                let closed = blocks.pop();
                if blocks.is_empty() && closed.as_deref() == Some("export") {
                    let whole = std::mem::take(&mut export);
                    found.extend(whole.export().filter(|_| found.len() < MOST_EXPORTS));
                }
            }
            (_, Some(b"{")) => {
                blocks.push(lower);
                at += 1;
            }
            (_, Some(b"=")) => {
                let value = words.get(at + 2).cloned().unwrap_or_default();
                let inside: Vec<&str> = blocks.iter().map(String::as_str).collect();
                match (&inside[..], &lower[..]) {
                    (["export"], "path") => export.path = Some(value),
                    (["export"], "pseudo") => export.pseudo = Some(value),
                    (["export", "fsal"], "name") => {
                        export.driver = Some(String::from_utf8_lossy(&value).to_lowercase());
                    }
                    _ => {}
                }
                at += 2;
            }
            _ => {}
        }
        at += 1;
    }
}

/// Words and signs; `;` and `,` only separate. A quoted word is never a sign.
fn words(text: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.first() {
        match first {
            b'#' => {
                let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                rest = &rest[end..];
            }
            quote @ (b'"' | b'\'') => {
                let inner = &rest[1..];
                let end = inner.iter().position(|byte| byte == quote).unwrap_or(inner.len());
                words.push(inner[..end].to_vec());
                rest = inner.get(end + 1..).unwrap_or_default();
            }
            b'{' | b'}' | b'=' => {
                words.push(vec![*first]);
                rest = &rest[1..];
            }
            byte if byte.is_ascii_whitespace() || *byte == b';' || *byte == b',' => {
                rest = &rest[1..];
            }
            _ => {
                let is_end = |byte: &u8| byte.is_ascii_whitespace() || b"{}=;,#\"'".contains(byte);
                let end = rest.iter().position(is_end).unwrap_or(rest.len());
                words.push(rest[..end].to_vec());
                rest = &rest[end..];
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_with_drivers_and_includes() {
        let text = br#"
            NFS_CORE_PARAM { Protocols = 4; Path = /no; }
            %include "/etc/ganesha/more.conf"
            EXPORT { Export_Id = 1; Path = /srv/a; Pseudo = "/shares/alpha beta";
                CLIENT { Clients = 10.0.0.0/8, host; Access_Type = RW; Path = /no; }
                FSAL { Name = VFS; } } # trailing { brace
            Export{Export_Id=2;Path="/srv/b";FSAL{Name=PROXY_V4;}}
            EXPORT { Path = /srv/c }
        "#;
        let mut include = |path: &Path| {
            assert_eq!(path, Path::new("/etc/ganesha/more.conf"));
            b"EXPORT { Path = /srv/more; Pseudo = /; }".to_vec()
        };
        let found = parse(text, &mut include);
        let found: Vec<_> = found.iter().map(|e| (&e.name[..], e.path.to_str().unwrap())).collect();
        assert_eq!(found, [("more", "/srv/more"), ("alpha beta", "/srv/a"), ("c", "/srv/c")]);
    }

    #[test]
    fn nonsense_is_nothing() {
        for text in
            ["", "{", "}", "}}", "EXPORT", "EXPORT {", "EXPORT { Path = ", "= =", "\"", "%include"]
        {
            assert!(parse(text.as_bytes(), &mut |_| Vec::new()).is_empty(), "{text:?}");
        }
    }

    proptest::proptest! {
        /// Also with what it includes: itself.
        #[test]
        fn changed_files_are_read(bytes in tintype_testkit::hostile::changed([
            "%include \"/x\"\nEXPORT { Path = /srv/a; Pseudo = \"/a b\"; CLIENT { Clients = 10.0.0.0/8; }\n FSAL { Name = VFS; } } # {",
        ])) {
            for export in parse(&bytes, &mut |_| bytes.clone()) {
                assert!(export.path.is_absolute(), "{export:?}");
            }
        }
    }
}
