//! Which versions of agents and managers work together: those of one minor release more or less.

use std::cmp::Ordering;

use crate::{Error, Result};

/// Minor releases by which the two may differ.
const MOST: u64 = 1;

/// `Unsupported` where they do not work together, with what is to be updated.
pub fn check(manager: &str, agent: &str) -> Result<()> {
    let (of_manager, of_agent) = (parse(manager)?, parse(agent)?);
    if of_manager.0 == of_agent.0 && of_manager.1.abs_diff(of_agent.1) <= MOST {
        return Ok(());
    }
    let older = match of_manager.cmp(&of_agent) {
        Ordering::Less => "manager",
        _ => "agent",
    };
    Err(Error::unsupported(format!(
        "the agent has version {agent} and the manager {manager}: they may differ by one minor \
         release at most; update the {older}"
    )))
}

/// Major and minor; what follows does not matter.
fn parse(version: &str) -> Result<(u64, u64)> {
    let mut parts = version.split(['.', '-', '+']).map(|part| part.parse::<u64>().ok());
    let both = parts.next().flatten().zip(parts.next().flatten());
    both.ok_or_else(|| {
        let shown: String = version.chars().take(40).collect();
        Error::invalid(format!("`{shown}` is no version of Tintype"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_minor_release_apart_works_and_no_more() {
        let table = [
            ("0.1.0", "0.1.0", None),
            ("0.1.0", "0.1.9", None),
            ("0.2.0", "0.1.4", None),
            ("0.1.4", "0.2.0-rc.1", None),
            ("1.10.0", "1.9.0", None),
            ("0.3.0", "0.1.0", Some("update the agent")),
            ("0.1.0", "0.3.0", Some("update the manager")),
            ("1.0.0", "0.9.0", Some("update the agent")),
            ("0.9.0", "1.0.0", Some("update the manager")),
            ("0.1.0", "", Some("`` is no version")),
            ("0.1.0", "1", Some("`1` is no version")),
            ("0.1.0", "one.two", Some("no version")),
        ];
        for (manager, agent, refused) in table {
            match (check(manager, agent), refused) {
                (Ok(()), None) => {}
                (Err(error), Some(why)) => {
                    assert!(error.message().contains(why), "{manager} {agent}: {error}");
                }
                (found, _) => panic!("{manager} {agent}: {found:?}"),
            }
        }
    }
}
