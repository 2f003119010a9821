//! A command line of QEMU made into that of another machine: nothing that tells machines apart
//! stays the same.

use std::collections::BTreeMap;

/// Letters from here on mean nothing to anybody (Unicode's private use).
const PRIVATE: char = '\u{f0000}';

/// What becomes of what.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Renewal {
    pub name: String,
    pub uuid: String,
    /// Old address, new address.
    pub macs: BTreeMap<String, String>,
    /// Whole paths of files and sockets.
    pub paths: BTreeMap<String, String>,
    /// Text, wherever it stands.
    pub replace: BTreeMap<String, String>,
}

/// The new command line.
pub(crate) fn renewed(command: &[String], renewal: &Renewal) -> Vec<String> {
    let mut words: Vec<String> = Vec::with_capacity(command.len());
    for word in command {
        let before = words.last().map(|word| word.trim_start_matches('-').to_owned());
        words.push(match before.as_deref() {
            Some("uuid") => renewal.uuid.clone(),
            Some("name") => renamed(word, &renewal.name),
            _ => mapped(word, renewal),
        });
    }
    words
}

fn renamed(word: &str, name: &str) -> String {
    // A comma in a value is doubled.
    let name = name.replace(',', ",,");
    let options =
        word.split(',').enumerate().map(|(number, option)| match option.split_once('=') {
            Some(("guest", _)) => format!("guest={name}"),
            None if number == 0 => name.clone(),
            _ => option.to_owned(),
        });
    options.collect::<Vec<_>>().join(",")
}

fn mapped(word: &str, renewal: &Renewal) -> String {
    let mut word = word.to_owned();
    // What is mapped has its new place: no text in it is replaced.
    let marks: Vec<String> = (PRIVATE..).take(renewal.paths.len()).map(String::from).collect();
    for (old, mark) in renewal.paths.keys().zip(&marks) {
        word = replaced_whole(&word, old, mark);
    }
    for (old, new) in &renewal.macs {
        // Addresses are the same in both cases.
        if let Some(at) = word.to_ascii_lowercase().find(&old.to_ascii_lowercase()) {
            word.replace_range(at..at + old.len(), new);
        }
    }
    for (old, new) in renewal.replace.iter().filter(|(old, _)| !old.is_empty()) {
        word = word.replace(old, new);
    }
    for (mark, new) in marks.iter().zip(renewal.paths.values()) {
        word = word.replace(mark, new);
    }
    word
}

/// Whether a command line names a file.
pub(crate) fn names(command: &[String], file: &str) -> bool {
    command.iter().any(|word| replaced_whole(word, file, "\0") != *word)
}

/// Replaces a value where it stands whole: between `=`, `:`, `"` or the ends.
fn replaced_whole(word: &str, old: &str, new: &str) -> String {
    let mut result = String::new();
    let mut rest = word;
    while let Some(at) = rest.find(old).filter(|_| !old.is_empty()) {
        let (before, after) = (&rest[..at], &rest[at + old.len()..]);
        let done = result.chars().chain(before.chars()).last();
        let begins = done.is_none_or(|c| "=:\"".contains(c));
        let ends = after.is_empty() || after.starts_with([',', '"']);
        result.push_str(before);
        result.push_str(if begins && ends { new } else { old });
        rest = after;
    }
    result + rest
}

/// A value that no other machine has, from the run's number and what it stands for.
pub(crate) fn fresh(session: &str, what: &str) -> [u8; 16] {
    let half = |seed: u64| {
        let bytes = session.bytes().chain([0]).chain(what.bytes());
        bytes.fold(seed, |state, byte| {
            let state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            state ^ (state >> 29)
        })
    };
    let (a, b) = (half(0xcbf2_9ce4_8422_2325), half(0x9e37_79b9_7f4a_7c15));
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&a.to_be_bytes());
    bytes[8..].copy_from_slice(&b.to_be_bytes());
    bytes
}

pub(crate) fn fresh_uuid(session: &str, what: &str) -> String {
    let mut bytes = fresh(session, what);
    // Version 4, the usual variant.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = format!("{:032x}", u128::from_be_bytes(bytes));
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// In the range that is QEMU's own.
pub(crate) fn fresh_mac(session: &str, what: &str) -> String {
    let bytes = fresh(session, what);
    format!("52:54:00:{:02x}:{:02x}:{:02x}", bytes[3], bytes[9], bytes[15])
}

/// A shell script that runs a command line.
pub(crate) fn script(command: &[String]) -> String {
    let words: Vec<String> =
        command.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
    format!("#!/bin/sh\nexec {}\n", words.join(" \\\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_tells_machines_apart_stays() {
        let line = "qemu -name guest=web,debug-threads=on -uuid 1-2 -device \
            virtio-net-pci,mac=52:54:00:AA:BB:0c,netdev=n -blockdev \
            driver=file,filename=/vm/a,node-name=/vm/ab -qmp unix:/vm/q,server=on -serial file:/vm/log";
        let command: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned())).collect()
        };
        let renewal = Renewal {
            name: "copy".into(),
            uuid: "3-4".into(),
            macs: map(&[("52:54:00:aa:bb:0c", "52:54:00:00:00:01")]),
            paths: map(&[("/vm/a", "/new/a"), ("/vm/q", "/new/q")]),
            // Of a path that is mapped nothing is replaced.
            replace: map(&[("file:/vm/log", "null"), ("/new", "/wrong"), ("/vm/a", "/wrong")]),
        };
        let expected = "qemu -name guest=copy,debug-threads=on -uuid 3-4 -device \
            virtio-net-pci,mac=52:54:00:00:00:01,netdev=n -blockdev \
            driver=file,filename=/new/a,node-name=/wrongb -qmp unix:/new/q,server=on -serial null";
        assert_eq!(renewed(&command, &renewal).join(" "), expected);
        assert!(names(&command, "/vm/a") && !names(&command, "/vm") && !names(&command, "/new/a"));
        assert_eq!(renamed("web,process=x", "y,z"), "y,,z,process=x");
    }

    #[test]
    fn fresh_identities_differ_by_run_and_by_what_they_are() {
        let all = [("a", "x"), ("a", "y"), ("b", "x")].map(|(run, what)| fresh_uuid(run, what));
        assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2], "{all:?}");
        assert_eq!(all[0].len(), 36);
        assert_eq!(&all[0][14..15], "4");
        assert!(fresh_mac("a", "x").starts_with("52:54:00:"));
    }

    #[test]
    fn a_script_says_exactly_the_words() {
        let words = ["a b", "it's", "$x"].map(str::to_owned);
        assert_eq!(script(&words), "#!/bin/sh\nexec 'a b' \\\n  'it'\\''s' \\\n  '$x'\n");
    }
}
