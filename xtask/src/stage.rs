//! Stages run one after the other, each with a title and the seconds it took.

use crate::clock::Stopwatch;
use anyhow::Context;

/// What a stage did.
pub(crate) enum Outcome {
    Done,
    /// Nothing to do here; the text says why.
    Skipped(String),
}

/// One named stage.
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) run: fn() -> anyhow::Result<Outcome>,
}

/// Runs the stages in order and stops at the first that fails.
pub(crate) fn run(stages: &[&Stage]) -> anyhow::Result<()> {
    let all = Stopwatch::start();
    let mut times = Vec::new();
    for (number, stage) in stages.iter().enumerate() {
        println!("── {}/{} {}: {}", number + 1, stages.len(), stage.name, stage.title);
        let watch = Stopwatch::start();
        let outcome = (stage.run)().with_context(|| {
            format!("stage `{}` failed after {:.1} s", stage.name, watch.seconds())
        })?;
        let seconds = watch.seconds();
        match &outcome {
            Outcome::Done => println!("   {} passed in {seconds:.1} s", stage.name),
            Outcome::Skipped(why) => println!("   {} skipped: {why}", stage.name),
        }
        times.push((stage.name, seconds, matches!(outcome, Outcome::Skipped(_))));
    }
    println!("── all {} stages passed in {:.1} s", stages.len(), all.seconds());
    for (name, seconds, skipped) in times {
        println!("   {name:<10} {seconds:>7.1} s{}", if skipped { "  (skipped)" } else { "" });
    }
    Ok(())
}
