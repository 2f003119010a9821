//! Paths, which are bytes, as text in JSON.

/// Bytes as text that tells them exactly: `%` and what is not UTF-8 or not printable as `%0A`.
pub(super) fn escaped(path: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter == '%' || letter.is_control() {
                let mut bytes = [0; 4];
                for byte in letter.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(text, "%{byte:02X}");
                }
            } else {
                text.push(letter);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// What [`escaped`] was made of.
pub(super) fn plain(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        if let (b'%', Some(Ok(byte))) = (first, code.map(|code| u8::from_str_radix(code, 16))) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_as_text() {
        for path in [&b"plain/\xc3\xa4"[..], b"a\nb%41", b"\xff\xfe", b"", b"%"] {
            assert_eq!(plain(&escaped(path)), path);
        }
    }
}
