//! How `expected.txt` of a fixture shows names; the example that writes it includes this file.

/// Bytes other than letters, digits and `._/-` as `%XX`; nothing as `-`.
pub(crate) fn escape(bytes: &[u8]) -> String {
    match bytes {
        b"" => "-".to_owned(),
        b"-" => "%2D".to_owned(),
        _ => bytes
            .iter()
            .map(|byte| match byte {
                b'.' | b'_' | b'/' | b'-' => char::from(*byte).to_string(),
                letter if letter.is_ascii_alphanumeric() => char::from(*letter).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect(),
    }
}
