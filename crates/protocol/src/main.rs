//! `cargo run -p tintype-protocol --release [-- --long]`: explores all scenarios and prints
//! what was found.

use std::process::ExitCode;

use tintype_protocol::{explore, scenario};

fn main() -> ExitCode {
    let mut scenarios = scenario::short();
    if std::env::args().any(|a| a == "--long") {
        scenarios.extend(scenario::long());
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
