//! Takes notice of the console that `cargo xtask console` builds, and does without it where it is not
//! built. Only a released program holds it: others read it from its folder.

use std::path::Path;

fn main() {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../console/dist");
    // A folder that is there later only would not be found again. Where nothing can be made, none is
    // needed.
    let _ = std::fs::create_dir_all(&built);
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo:rerun-if-changed={}", built.join(".stamp").display());
    }
}
