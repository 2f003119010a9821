//! A note that something is left to do says why: `TODO(reason): what`.

use super::Finding;
use super::lexer::Comment;

const WORDS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

pub(super) fn check_comments(file: &str, comments: &[Comment]) -> Vec<Finding> {
    let lines = comments.iter().flat_map(|comment| {
        let lines = comment.text.lines().enumerate();
        lines.map(|(offset, text)| (comment.line + offset, text))
    });
    find(file, lines)
}

pub(super) fn check_text(file: &str, text: &str) -> Vec<Finding> {
    find(file, text.lines().enumerate().map(|(number, line)| (number + 1, line)))
}

fn find<'t>(file: &str, lines: impl Iterator<Item = (usize, &'t str)>) -> Vec<Finding> {
    let bad = lines.filter_map(|(line, text)| unexplained(text).map(|word| (line, word)));
    bad.map(|(line, word)| Finding {
        file: file.to_owned(),
        line,
        message: format!("{word} without a reason; write `{word}(reason): what`"),
    })
    .collect()
}

/// The first such word in `text` that is not followed by `(reason):`.
fn unexplained(text: &str) -> Option<&'static str> {
    WORDS.into_iter().find(|word| {
        text.match_indices(word).any(|(start, _)| {
            let before = text[..start].chars().next_back();
            let after = &text[start + word.len()..];
            let inside_a_word = |found: Option<char>| {
                found.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
            };
            !inside_a_word(before) && !inside_a_word(after.chars().next()) && !has_reason(after)
        })
    })
}

fn has_reason(after: &str) -> bool {
    let reason = after.strip_prefix('(').and_then(|rest| rest.split_once("):"));
    reason.is_some_and(|(reason, _)| !reason.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_wanted() {
        let word = WORDS[0];
        assert!(unexplained(&format!("// {word}: later")).is_some());
        assert!(unexplained(&format!("// {word}(): later")).is_some());
        assert!(unexplained(&format!("// {word}(needs kernel 7): later")).is_none());
        assert!(unexplained(&format!("MY{word}S and {word}S")).is_none());
        assert!(unexplained(&format!("a {word}")).is_some());
    }

    #[test]
    fn lines_of_block_comments_are_counted() {
        let text = format!("one\n{}\n", WORDS[1]);
        let found = check_comments("a.rs", &[Comment { line: 7, text }]);
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [8]);
    }
}
