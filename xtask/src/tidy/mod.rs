//! House rules that no other tool checks. Each rule is one file and returns findings;
//! a finding prints as `file:line: message`.

mod changelog;
mod edges;
mod functions;
mod lexer;
mod lines;
mod named_stories;
mod named_tests;
mod notes;
mod size;
mod stray_paths;
mod tracked;

use anyhow::bail;

/// One broken rule at one place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) file: String,
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) message: String,
}

/// Checks all rules and prints every finding.
pub(crate) fn run() -> anyhow::Result<()> {
    let files = tracked::files()?;
    let mut findings = edges::check()?;
    findings.extend(changelog::check());
    let mut sources = Vec::new();
    let mut stories = Vec::new();
    for file in &files {
        findings.extend(size::check(file));
        let Some(text) = file.text() else { continue };
        findings.extend(stray_paths::check(&file.path, text));
        if file.has_extension("rs") {
            let source = lexer::split(text);
            findings.extend(lines::check(&file.path, text));
            findings.extend(functions::check(&file.path, &source.code));
            sources.push(named_tests::Source::new(&file.path, &source.code));
            findings.extend(notes::check_comments(&file.path, &source.comments));
        } else if !file.has_extension("md") {
            findings.extend(notes::check_text(&file.path, text));
            stories.extend(named_stories::Stories::of(&file.path, text));
        }
    }
    for file in files.iter().filter(|file| named_tests::is_checked(&file.path)) {
        let text = file.text().unwrap_or_default();
        findings.extend(named_tests::check(&file.path, text, &sources));
        findings.extend(named_stories::check(&file.path, text, &stories));
    }
    findings.sort();
    for Finding { file, line, message } in &findings {
        println!("{file}:{line}: {message}");
    }
    if !findings.is_empty() {
        bail!("{} broken house rules", findings.len());
    }
    println!("tidy: {} files keep the house rules", files.len());
    Ok(())
}
