//! The commands that end a restore of resources that stopped halfway, as they are printed.

use tintype_engine::repo::snapshots::Snapshot;

use super::Args;

/// The same command, by the id of its snapshot: what is the latest may be another one by then.
pub(super) fn again(args: &Args, snapshot: &Snapshot) -> String {
    let of = &args.of_resources;
    let new = &of.of_new;
    let mut words = command(snapshot);
    if args.in_place {
        words.push("--in-place".into());
    }
    let pairs = [("--as-new", &new.as_new), ("--set", &new.set), ("--rule", &new.rule)];
    for (option, values) in pairs {
        words.extend(values.iter().flat_map(|value| [option.to_owned(), shell_word(value)]));
    }
    if of.without_undo_point {
        words.push("--without-undo-point".into());
    }
    words.extend(of.names.iter().map(|name| shell_word(name)));
    words.join(" ")
}

pub(super) fn back(snapshot: &Snapshot) -> String {
    let mut words = command(snapshot);
    words.push("--undo".into());
    words.join(" ")
}

/// How what a restore left beside is removed, once nobody needs it.
pub(super) fn remove(place: &str) -> String {
    let paths = place.split(", ").filter(|path| path.starts_with('/'));
    let paths: Vec<String> = paths.map(shell_word).collect();
    match paths.is_empty() {
        true => "look what of it is needed, then drop it".to_owned(),
        false => format!("look what of it is needed, then rm -r {}", paths.join(" ")),
    }
}

fn command(snapshot: &Snapshot) -> Vec<String> {
    let id = snapshot.id.short();
    ["tintype", "repo", "restore", &id, "--resources"].map(str::to_owned).into()
}

/// As a shell reads it back.
fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/=:,@+".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_by_a_shell() {
        for text in ["db.path=/srv/db2.sqlite", "", "two words", "it's; rm $x `y`\n\"z\" \\"] {
            let mut shell = std::process::Command::new("sh");
            let script = format!("printf %s {}", shell_word(text));
            let said = shell.args(["-c", &script]).output().unwrap();
            assert_eq!(said.stdout, text.as_bytes(), "{text}");
        }
    }
}
