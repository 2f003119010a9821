//! Completions and manual pages, made from the same definitions as the help.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::Cli;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype completions bash > /etc/bash_completion.d/tintype
  tintype completions zsh > \"${fpath[1]}/_tintype\"
  tintype completions fish > ~/.config/fish/completions/tintype.fish")]
pub(crate) struct Completions {
    shell: Shell,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let shell = match self.shell {
            Shell::Bash => clap_complete::Shell::Bash,
            Shell::Zsh => clap_complete::Shell::Zsh,
            Shell::Fish => clap_complete::Shell::Fish,
        };
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "tintype", &mut script);
        std::io::stdout().lock().write_all(&script)?;
        Ok(())
    }
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype man /usr/local/share/man/man1            then `man tintype-repo-restore`")]
pub(crate) struct Man {
    /// Where the pages go; made if need be
    dir: PathBuf,
}

impl Man {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let dir = self.dir.display();
        std::fs::create_dir_all(&self.dir).with_context(|| format!("cannot make {dir}"))?;
        let mut command = Cli::command();
        command.build();
        clap_mangen::generate_to(command, &self.dir)
            .with_context(|| format!("cannot write manual pages to {dir}"))
    }
}
