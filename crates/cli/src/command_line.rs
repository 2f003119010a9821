//! What the definitions of the options alone do not say.

use std::sync::OnceLock;

use clap::builder::Resettable;
use clap::{Arg, ArgMatches, Command, CommandFactory as _, FromArgMatches as _};

use crate::Cli;

/// What was asked for, as far as its help has examples.
static WITH_EXAMPLES: OnceLock<String> = OnceLock::new();

/// The command whose help shows how what was asked for is asked.
pub(crate) fn with_examples() -> &'static str {
    WITH_EXAMPLES.get().map_or("tintype", String::as_str)
}

fn note(command: &Command, matches: &ArgMatches) {
    let (mut command, mut matches, mut said) = (command, matches, command.get_name().to_owned());
    let mut shows = said.clone();
    while let Some((name, below)) = matches.subcommand() {
        let Some(next) = command.find_subcommand(name) else { break };
        (command, matches) = (next, below);
        said = format!("{said} {name}");
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        if help.contains("Examples:") {
            shows.clone_from(&said);
        }
    }
    let _ = WITH_EXAMPLES.set(shows);
}

pub(crate) fn parse() -> clap::error::Result<Cli> {
    let mut command = without_empty_variables(Cli::command());
    command.build();
    with_whole_usage(&mut command);
    let mut matches = command.clone().try_get_matches()?;
    note(&command, &matches);
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// An empty environment variable counts as not set.
fn without_empty_variables(command: Command) -> Command {
    let is_empty = |arg: &Arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        value.is_some_and(|value| value.is_empty())
    };
    let unset = |arg: Arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg };
    command.mut_args(unset).mut_subcommands(without_empty_variables)
}

/// Errors show the usage that the help shows: clap's own has every option that happens to be
/// given, also by the environment, as if it were required.
fn with_whole_usage(command: &mut Command) {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    *command = std::mem::take(command).override_usage(usage);
    command.get_subcommands_mut().for_each(with_whole_usage);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What is named in texts of the program, between backquotes.
    fn hints() -> Vec<String> {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut folders: Vec<_> = std::fs::read_dir(crates)
            .unwrap()
            .map(|one| one.unwrap().path().join("src"))
            .filter(|folder| folder.is_dir())
            .collect();
        let (mut hints, mark) = (Vec::new(), ["`", "tintype "].concat());
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).unwrap().map(|one| one.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "rs") {
                    let text = std::fs::read_to_string(path).unwrap();
                    let named = text.split(&mark).skip(1);
                    let named = named.filter_map(|rest| Some(rest.split_once('`')?.0));
                    hints.extend(named.map(|words| words.replace('\\', " ").replace("{}", " ")));
                }
            }
        }
        hints
    }

    #[test]
    fn every_command_that_is_named_is_one() {
        let mut all = Cli::command();
        all.build();
        let hints = hints();
        assert!(hints.len() > 100, "{}", hints.len());
        for hint in hints {
            let mut command = &all;
            for word in hint.split_whitespace() {
                if let Some(option) = word.strip_prefix("--") {
                    let name: String = option
                        .chars()
                        .take_while(|c| c.is_ascii_lowercase() || *c == '-')
                        .collect();
                    let has = |arg: &Arg| {
                        arg.get_long_and_visible_aliases().is_some_and(|l| l.contains(&&name[..]))
                    };
                    let is_known = name.is_empty() || command.get_arguments().any(has);
                    assert!(is_known, "`tintype {hint}`: no --{name}");
                } else if let Some(next) = command.find_subcommand(word) {
                    command = next;
                } else {
                    let is_word = word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
                    let takes = command.get_positionals().next().is_some() || !is_word;
                    let is_value = hint.contains(" -");
                    assert!(takes || is_value, "`tintype {hint}`: no {word}");
                }
            }
        }
    }
}
