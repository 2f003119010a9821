//! `cargo run -p tintype-protocol --release [-- --long] [NAME]`: explores all scenarios, or those
//! whose name holds NAME, and prints what was found.

use std::process::ExitCode;

use tintype_protocol::{Mutation, Scenario, explore, scenario};

fn main() -> ExitCode {
    let mut scenarios = scenario::short();
    if std::env::args().any(|a| a == "--long") {
        scenarios.extend(scenario::long());
    }
    if let Some(part) = std::env::args().skip(1).find(|a| !a.starts_with("--")) {
        scenarios.retain(|scenario| scenario.name.contains(&part));
    }
    if std::env::args().any(|a| a == "--mutations") {
        return mutations(&scenarios);
    }
    let mut code = ExitCode::SUCCESS;
    for scenario in scenarios {
        let outcome = explore(&scenario, 60_000_000);
        println!("{:>9} states, depth {:3}: {}", outcome.states, outcome.depth, scenario.name);
        if let Some(violation) = outcome.violation {
            println!("{violation}");
            code = ExitCode::FAILURE;
        }
        if outcome.truncated {
            println!("stopped early");
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// Shows for each deliberate mistake the shortest counterexample of each scenario.
fn mutations(scenarios: &[Scenario]) -> ExitCode {
    for mutation in Mutation::ALL {
        for scenario in scenarios {
            let outcome = explore(&scenario.with(mutation), 2_000_000);
            if let Some(violation) = outcome.violation {
                println!(
                    "{mutation:?} in {:?}, {} states: {violation}",
                    scenario.name, outcome.states
                );
            }
        }
    }
    ExitCode::SUCCESS
}
