//! Passphrases, recovery keys and age identities: from a prompt, a file, a command or the environment; never
//! from an argument, which everybody on the host could read.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use tintype_engine::Error;
use tintype_engine::crypto::age::AgeIdentity;
use tintype_engine::crypto::slot::{Passphrase, RecoveryKey, Secret};
use zeroize::Zeroizing;

use crate::exit::usage;
use crate::report::Report;
use crate::{interrupt, terminal};

const LONGEST_BYTES: u64 = 64 << 10;
const WEAK_LENGTH: usize = 10;

/// Where a secret comes from; the first that is set counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sources<'a> {
    pub(crate) recovery_prompt: bool,
    pub(crate) recovery_file: Option<&'a Path>,
    pub(crate) age_file: Option<&'a Path>,
    pub(crate) file: Option<&'a Path>,
    pub(crate) command: Option<&'a str>,
    /// Name of an environment variable.
    pub(crate) variable: &'a str,
    /// Name of the one that names an age identity file, if there is one.
    pub(crate) age_variable: &'a str,
    /// The options, for the message when there is nothing and nobody to ask.
    pub(crate) options: &'a str,
}

pub(crate) type Text = Zeroizing<String>;

/// The text itself, for what is no repository: asked for if nothing gives it.
pub(crate) fn text(sources: &Sources<'_>, prompt: &str, report: &Report) -> anyhow::Result<Text> {
    match given(sources, report)? {
        Some(text) => Ok(text),
        None => ask(prompt, sources),
    }
}

/// One that is to be chosen: typed twice if it is typed.
pub(crate) fn new_text(
    sources: &Sources<'_>,
    prompt: &str,
    report: &Report,
) -> anyhow::Result<Text> {
    if let Some(text) = given(sources, report)? {
        return Ok(text);
    }
    let first = ask(prompt, sources)?;
    if *first != *ask("once more: ", sources)? {
        return Err(usage("both are not the same"));
    }
    Ok(first)
}

/// The secret that opens a repository.
pub(crate) fn existing(
    sources: &Sources<'_>,
    what: &str,
    report: &Report,
) -> anyhow::Result<Secret> {
    if let Some(file) = sources.recovery_file {
        return Ok(Secret::Recovery(RecoveryKey::parse(&read_text(file, report)?)?));
    }
    if sources.recovery_prompt {
        let words = ask(&format!("recovery key (12 words) of {what}: "), sources)?;
        return Ok(Secret::Recovery(RecoveryKey::parse(&words)?));
    }
    if let Some(file) = sources.age_file {
        return age_identity(file, report);
    }
    if let Some(text) = given(sources, report)? {
        return passphrase(&text);
    }
    if !sources.age_variable.is_empty()
        && let Some(file) = std::env::var_os(sources.age_variable).filter(|file| !file.is_empty())
    {
        return age_identity(&PathBuf::from(file), report);
    }
    passphrase(&ask(&format!("passphrase of {what}: "), sources)?)
}

/// A passphrase that is chosen now: asked for twice.
pub(crate) fn chosen(sources: &Sources<'_>, what: &str, report: &Report) -> anyhow::Result<Secret> {
    let text = if let Some(text) = given(sources, report)? {
        text
    } else {
        let first = ask(&format!("new passphrase for {what}: "), sources)?;
        let second = ask("the same again: ", sources)?;
        if first != second {
            return Err(usage("the two passphrases differ; nothing was changed"));
        }
        first
    };
    if text.chars().count() < WEAK_LENGTH {
        report.warn(format!(
            "the passphrase has fewer than {WEAK_LENGTH} characters: whoever copies the repository \
             can try them all"
        ));
    }
    passphrase(&text)
}

/// Twelve words, from a file or a person.
pub(crate) fn words(file: Option<&Path>, what: &str, report: &Report) -> anyhow::Result<Text> {
    let sources = Sources { options: "--words-file", ..Sources::default() };
    match file {
        Some(file) => read_text(file, report),
        None => ask(&format!("the twelve words of {what}: "), &sources),
    }
}

fn age_identity(file: &Path, report: &Report) -> anyhow::Result<Secret> {
    let identity = AgeIdentity::parse(&read_text(file, report)?)
        .with_context(|| format!("cannot use {}", file.display()))?;
    Ok(Secret::Age(identity))
}

fn passphrase(text: &Text) -> anyhow::Result<Secret> {
    Ok(Secret::Passphrase(Passphrase::new(text.as_str().to_owned())?))
}

/// None where nothing gives it.
pub(crate) fn given(sources: &Sources<'_>, report: &Report) -> anyhow::Result<Option<Text>> {
    if let Some(file) = sources.file {
        return read_file(file, report).map(Some);
    }
    if let Some(command) = sources.command {
        return run(command).map(Some);
    }
    match std::env::var(sources.variable) {
        // As all variables: empty is not set.
        Ok(text) => Ok((!text.is_empty()).then(|| Zeroizing::new(text))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(usage(format!("{} is not UTF-8", sources.variable)))
        }
    }
}

fn read_file(path: &Path, report: &Report) -> anyhow::Result<Text> {
    one_line(&read_text(path, report)?, &format!("{}", path.display()))
}

fn read_text(path: &Path, report: &Report) -> anyhow::Result<Text> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("cannot read the secret in {name}"))?;
    let metadata = file.metadata().with_context(|| format!("cannot look at {name}"))?;
    if metadata.is_file() && metadata.mode() & 0o044 != 0 {
        report.warn(format!("{name} can be read by other users; `chmod 600 {name}`"));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LONGEST_BYTES)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read the secret in {name}"))?;
    Ok(text)
}

/// A program that the user names on this command line: it gets the environment that he gave us, in
/// which may stand what it needs (the token of a password manager), but not our secrets. What
/// descriptions name gets less: [`tintype_source::host::command`].
pub(crate) fn child(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let is_secret = name.to_string_lossy().starts_with("TINTYPE_")
            && name.to_string_lossy().ends_with("PASSWORD");
        if is_secret {
            command.env_remove(name);
        }
    }
    command
}

fn run(command: &str) -> anyhow::Result<Text> {
    let output = child("/bin/sh")
        .args(["-c", command])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run the password command")?;
    let text = Zeroizing::new(output.stdout);
    if !output.status.success() {
        anyhow::bail!("the password command failed ({})", output.status);
    }
    let text = std::str::from_utf8(&text).context("the password command printed no UTF-8")?;
    one_line(text, "what the password command printed")
}

/// Without the end of its line; more than one line is surely the wrong file.
fn one_line(text: &str, whence: &str) -> anyhow::Result<Text> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(usage(format!("there is no secret: {whence} is empty")));
    }
    if line.contains('\n') {
        return Err(usage(format!("{whence} has more than one line; a secret has one")));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

fn ask(prompt: &str, sources: &Sources<'_>) -> anyhow::Result<Text> {
    let nobody =
        || usage(format!("there is nobody to ask for the secret: use {}", sources.options));
    if !std::io::stderr().is_terminal() && !std::io::stdin().is_terminal() {
        return Err(nobody());
    }
    // The prompt sends itself the signal of Ctrl-C before it puts the terminal back.
    interrupt::guard()?;
    terminal::ask_secret(prompt).map(Zeroizing::new).map_err(|error| match error.kind() {
        std::io::ErrorKind::Interrupted => Error::canceled("interrupted at the prompt").into(),
        _ => nobody(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_end_of_line_goes_and_nothing_else() {
        assert_eq!(one_line(" a b \r\n", "x").unwrap().as_str(), " a b ");
        assert_eq!(one_line("a", "x").unwrap().as_str(), "a");
        assert!(one_line("a\nb\n", "x").is_err());
        assert!(one_line("\n", "x").is_err());
    }
}
