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
