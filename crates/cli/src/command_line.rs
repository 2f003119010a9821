//! What the definitions of the options alone do not say.

use clap::builder::Resettable;
use clap::{Arg, Command, CommandFactory as _, FromArgMatches as _};

use crate::Cli;

pub(crate) fn parse() -> clap::error::Result<Cli> {
    let mut command = without_empty_variables(Cli::command());
    command.build();
    with_whole_usage(&mut command);
    let mut matches = command.clone().try_get_matches()?;
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
