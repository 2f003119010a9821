//! What can be shown of a file, by its first bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tintype_api::content::Shown;

/// Of a text.
pub(crate) const TEXT_BYTES: u64 = 64 << 10;
/// A larger picture is not shown.
pub(crate) const PICTURE_BYTES: u64 = 4 << 20;
const MOST_ROWS: usize = 500;
const MOST_COLUMNS: usize = 100;

/// Pictures that browsers show without running anything, by how they begin.
pub(crate) fn picture(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

pub(crate) fn shown_picture(media_type: &str, bytes: &[u8]) -> Shown {
    Shown::Picture { media_type: media_type.to_owned(), data: STANDARD.encode(bytes) }
}

/// Of a file that is no picture. `head` is its beginning, or all of it unless `is_cut`.
pub(crate) fn shown(name: &[u8], head: &[u8], is_cut: bool) -> Shown {
    let Some((charset, text)) = decoded(head, is_cut) else { return Shown::Binary };
    let charset = charset.to_owned();
    let ends = |end: &[u8]| name.to_ascii_lowercase().ends_with(end);
    let separator = match () {
        () if ends(b".tsv") => Some('\t'),
        () if ends(b".csv") => Some(separator(&text)),
        () => None,
    };
    match separator.and_then(|separator| table(&text, separator, is_cut)) {
        Some((rows, is_cut)) => Shown::Table { charset, rows, is_cut },
        None => Shown::Text { charset, text, is_cut },
    }
}

/// As text, and in which character set; none if it is no text.
fn decoded(bytes: &[u8], is_cut: bool) -> Option<(&'static str, String)> {
    match bytes {
        [0xff, 0xfe, rest @ ..] => return wide("utf-16le", rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => return wide("utf-16be", rest, u16::from_be_bytes),
        _ => {}
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let is_control =
        |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
    if bytes.iter().any(is_control) {
        return None;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(("utf-8", text.to_owned())),
        // A character may be cut at the end.
        Err(error) if is_cut && error.error_len().is_none() => {
            let whole = &bytes[..error.valid_up_to()];
            Some(("utf-8", String::from_utf8_lossy(whole).into_owned()))
        }
        Err(_) if bytes.iter().any(|byte| (0x7f..0xa0).contains(byte)) => None,
        Err(_) => Some(("iso-8859-1", bytes.iter().map(|byte| *byte as char).collect())),
    }
}

fn wide(
    charset: &'static str,
    bytes: &[u8],
    unit: fn([u8; 2]) -> u16,
) -> Option<(&'static str, String)> {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let text: String = char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect();
    (!text.contains('\0')).then_some((charset, text))
}

/// What stands most often in the first line.
fn separator(text: &str) -> char {
    let line = text.lines().next().unwrap_or_default();
    let count = |c: &char| line.chars().filter(|other| other == c).count();
    [',', ';', '\t'].into_iter().rev().max_by_key(count).unwrap_or(',')
}

/// Rows as RFC 4180 has them, and whether there are more; none where a quote does not end.
fn table(text: &str, separator: char, is_cut: bool) -> Option<(Vec<Vec<String>>, bool)> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut is_quoted, mut letters) = (false, text.chars().peekable());
    let push = |row: &mut Vec<String>, cell: &mut String| {
        let cell = std::mem::take(cell);
        if row.len() < MOST_COLUMNS {
            row.push(cell);
        }
    };
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => {
                cell.push('"');
                letters.next();
            }
            '"' if is_quoted => is_quoted = false,
            _ if is_quoted => cell.push(letter),
            '"' if cell.is_empty() => is_quoted = true,
            '\r' if letters.peek() == Some(&'\n') => {}
            '\n' => {
                push(&mut row, &mut cell);
                rows.push(std::mem::take(&mut row));
                if rows.len() == MOST_ROWS && letters.peek().is_some() {
                    return Some((rows, true));
                }
            }
            _ if letter == separator => push(&mut row, &mut cell),
            _ => cell.push(letter),
        }
    }
    if is_cut {
        // The last row is not whole.
        return (!rows.is_empty()).then_some((rows, true));
    }
    if is_quoted {
        return None;
    }
    if !cell.is_empty() || !row.is_empty() {
        push(&mut row, &mut cell);
        rows.push(row);
    }
    Some((rows, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(head: &[u8], is_cut: bool) -> Option<(String, String)> {
        match shown(b"x", head, is_cut) {
            Shown::Text { charset, text, .. } => Some((charset, text)),
            _ => None,
        }
    }

    fn told(charset: &str, text: &str) -> (String, String) {
        (charset.to_owned(), text.to_owned())
    }

    #[test]
    fn character_sets_are_recognised() {
        assert_eq!(text_of("grün".as_bytes(), false), Some(told("utf-8", "grün")));
        assert_eq!(text_of(b"\xef\xbb\xbfa", false), Some(told("utf-8", "a")));
        assert_eq!(text_of(&"grü".as_bytes()[..3], true), Some(told("utf-8", "gr")));
        assert_eq!(text_of(b"gr\xfcn", false), Some(told("iso-8859-1", "grün")));
        assert_eq!(text_of(b"\xff\xfea\0b\0", false), Some(told("utf-16le", "ab")));
        assert_eq!(text_of(b"\xfe\xff\0a\0b", false), Some(told("utf-16be", "ab")));
        assert_eq!(text_of(b"a\0b", false), None);
        assert_eq!(text_of(b"\x7fELF\x02\x01", false), None);
        assert_eq!(text_of(b"", false), Some(told("utf-8", "")));
    }

    #[test]
    fn tables_have_rows() {
        let rows = |text: &str, is_cut| match shown(b"a.CSV", text.as_bytes(), is_cut) {
            Shown::Table { rows, .. } => rows,
            other => panic!("{other:?}"),
        };
        assert_eq!(rows("a,b\r\n1,\"x, \"\"y\"\"\n\"\n", false), [["a", "b"], ["1", "x, \"y\"\n"]]);
        assert_eq!(rows("a;b,c\n1;2\n3", false)[1..], [vec!["1;2".to_owned()], vec!["3".into()]]);
        assert_eq!(rows("a;b;c,\n1;2;3\n", false)[1], ["1", "2", "3"]);
        assert_eq!(rows("a,b\n1,2\n3,", true).len(), 2, "a row that is cut is left out");
        assert!(matches!(shown(b"a.csv", b"a,\"b", false), Shown::Text { .. }));
        let many = "a,b\n".repeat(MOST_ROWS + 1);
        let Shown::Table { rows, is_cut, .. } = shown(b"a.csv", many.as_bytes(), false) else {
            panic!("a table")
        };
        assert_eq!((rows.len(), is_cut), (MOST_ROWS, true));
    }

    #[test]
    fn pictures_are_what_their_bytes_say() {
        assert_eq!(picture(b"\x89PNG\r\n\x1a\n..."), Some("image/png"));
        assert_eq!(picture(b"\xff\xd8\xff\xe0"), Some("image/jpeg"));
        assert_eq!(picture(b"GIF89a"), Some("image/gif"));
        assert_eq!(picture(b"RIFF....WEBPVP8 "), Some("image/webp"));
        assert_eq!(picture(b"<svg onload='alert(1)'>"), None);
        assert_eq!(picture(b""), None);
    }
}
