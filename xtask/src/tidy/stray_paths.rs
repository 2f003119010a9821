//! No path of one machine in a file that everybody gets.

use super::Finding;

const FOLDERS: [&str; 2] = [concat!("/ro", "ot/"), concat!("/wo", "rk/")];
const HOMES: &str = concat!("/ho", "me/");
/// Names of people who exist only in examples.
const EXAMPLE_USERS: [&str; 5] = ["alice", "bob", "carol", "user", "you"];

pub(super) fn check(file: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(folder) = stray(line) {
            let message = format!("names `{folder}`, a path of one machine");
            findings.push(Finding { file: file.to_owned(), line: number + 1, message });
        }
    }
    findings
}

fn stray(line: &str) -> Option<&'static str> {
    let begins_path = |start: usize| {
        let before = line[..start].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || "._-/~}*>".contains(letter))
    };
    let folder = FOLDERS
        .into_iter()
        .find(|folder| line.match_indices(folder).any(|(start, _)| begins_path(start)));
    folder.or_else(|| {
        let mut homes = line.match_indices(HOMES).filter(|(start, _)| begins_path(*start));
        homes.any(|(start, _)| is_a_person(&line[start + HOMES.len()..])).then_some(HOMES)
    })
}

fn is_a_person(rest: &str) -> bool {
    let name: String = rest
        .chars()
        .take_while(|letter| letter.is_alphanumeric() || "-_.".contains(*letter))
        .collect();
    !name.is_empty() && name != "..." && !EXAMPLE_USERS.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_one_machine_are_found() {
        assert!(stray(&format!("see {}x", FOLDERS[0])).is_some());
        assert!(stray(&format!("(\"{}shared\")", FOLDERS[1])).is_some());
        assert!(stray(&format!("{HOMES}jane/x")).is_some());
    }

    #[test]
    fn other_paths_are_not() {
        assert!(stray(&format!("https://example.org{}x", FOLDERS[1])).is_none());
        assert!(stray(&format!("a{}b", FOLDERS[0])).is_none());
        assert!(stray(&format!("{HOMES}alice/x")).is_none());
        assert!(stray(&format!("{HOMES}<name>/x")).is_none());
    }
}
