//! What a browser fetches until whoever is inside sees the overview is bounded (docs/console.md, section 6).

use anyhow::{Context, bail};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Compressed, as it is sent.
pub(super) const MOST_BYTES: u64 = 200_000;

/// One file of Vite's manifest, and what it brings along at once.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Chunk {
    file: String,
    is_entry: bool,
    imports: Vec<String>,
    dynamic_imports: Vec<String>,
    css: Vec<String>,
}

/// The bytes of a first load; more than are allowed are an error that names the largest.
pub(super) fn check(dist: &Path) -> anyhow::Result<u64> {
    let manifest = dist.join(".vite/manifest.json");
    let text = fs::read_to_string(&manifest)
        .with_context(|| format!("{}: set `build.manifest` of Vite", manifest.display()))?;
    let chunks: BTreeMap<String, Chunk> = serde_json::from_str(&text)
        .with_context(|| format!("{} is not understood", manifest.display()))?;
    let mut sizes = Vec::new();
    for file in first_load(&chunks)? {
        let sent = dist.join(format!("{file}.br"));
        let size = fs::metadata(&sent)
            .with_context(|| format!("{}: the build compresses each file", sent.display()))?;
        sizes.push((size.len(), file));
    }
    let sum = sizes.iter().map(|(size, _)| size).sum();
    if sum > MOST_BYTES {
        sizes.sort_by(|a, b| b.cmp(a));
        let named = |(size, file): &(u64, String)| format!("{file} {size}");
        let largest = sizes.iter().take(3).map(named).collect::<Vec<_>>().join(", ");
        bail!("the first load of the console is {sum} bytes, over {MOST_BYTES}: {largest}, …");
    }
    Ok(sum)
}

/// The page, what it starts with, what that imports before it runs, and what it fetches as soon as it runs: the
/// console itself, and its words in each language.
fn first_load(chunks: &BTreeMap<String, Chunk>) -> anyhow::Result<BTreeSet<String>> {
    let entries = chunks.iter().filter(|(_, chunk)| chunk.is_entry).map(|(name, _)| name);
    let mut waiting: Vec<&String> = entries.collect();
    if waiting.is_empty() {
        bail!("Vite's manifest has no entry");
    }
    let mut files = BTreeSet::from(["index.html".to_owned()]);
    let mut seen = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        if !seen.insert(name) {
            continue;
        }
        let chunk = chunks.get(name).with_context(|| format!("Vite's manifest lacks {name}"))?;
        files.insert(chunk.file.clone());
        files.extend(chunk.css.iter().cloned());
        waiting.extend(&chunk.imports);
        if chunk.is_entry {
            waiting.extend(&chunk.dynamic_imports);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"{
        "index.html": {
            "file": "assets/index-1.js", "isEntry": true, "css": ["assets/index-2.css"],
            "dynamicImports": ["src/app/App.tsx"]
        },
        "src/app/App.tsx": {
            "file": "assets/react-3.js", "imports": ["src/app/App.tsx"],
            "dynamicImports": ["src/screens/runs/view.tsx"]
        },
        "src/screens/runs/view.tsx": {"file": "assets/view-4.js", "isDynamicEntry": true}
    }"#;

    /// As a build of it leaves it, each file with so many bytes.
    fn built(bytes: usize) -> tempfile::TempDir {
        let dist = tempfile::tempdir().expect("a folder can be made");
        let write = |name: &str, bytes: &[u8]| {
            let file = dist.path().join(name);
            fs::create_dir_all(file.parent().expect("it lies in dist")).expect("ours");
            fs::write(file, bytes).expect("ours");
        };
        write(".vite/manifest.json", MANIFEST.as_bytes());
        for name in ["index.html", "assets/index-1.js", "assets/index-2.css", "assets/react-3.js"] {
            write(&format!("{name}.br"), &vec![0; bytes]);
        }
        write("assets/view-4.js.br", &[0; 1000]);
        dist
    }

    #[test]
    fn what_is_loaded_later_is_not_counted() {
        assert_eq!(check(built(10).path()).expect("it is small"), 40);
    }

    #[test]
    fn more_than_is_allowed_is_an_error_that_names_the_files() {
        let told = check(built(50_001).path()).expect_err("it is too much").to_string();
        assert!(told.contains("200004 bytes, over 200000: index.html 50001"), "{told}");
    }
}
