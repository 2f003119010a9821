//! Splits Rust source into code and comments, so that braces in strings, character literals
//! and comments do not count as code. It knows the lexical grammar only (Rust Reference,
//! "Lexical structure"), not the syntax.

/// One comment, with the line on which it begins (counted from 1).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Comment {
    pub(super) line: usize,
    pub(super) text: String,
}

/// Source text taken apart.
pub(super) struct Source {
    /// As many lines as the source; comments and the content of literals became spaces.
    pub(super) code: String,
    pub(super) comments: Vec<Comment>,
}

pub(super) fn split(text: &str) -> Source {
    let mut lexer = Lexer { chars: text.chars().collect(), position: 0, code: String::new() };
    let mut comments = Vec::new();
    while lexer.position < lexer.chars.len() {
        let start = lexer.position;
        if let Some(end) = lexer.comment_end() {
            let line = lexer.code.matches('\n').count() + 1;
            comments.push(Comment { line, text: lexer.chars[start..end].iter().collect() });
            lexer.blank_until(end);
        } else if let Some(end) = lexer.literal_end() {
            lexer.blank_until(end);
        } else {
            lexer.keep_word();
        }
    }
    Source { code: lexer.code, comments }
}

struct Lexer {
    chars: Vec<char>,
    position: usize,
    code: String,
}

impl Lexer {
    fn at(&self, offset: usize) -> char {
        self.chars.get(self.position + offset).copied().unwrap_or('\0')
    }

    fn blank_until(&mut self, end: usize) {
        let end = end.min(self.chars.len());
        for letter in &self.chars[self.position..end] {
            self.code.push(if *letter == '\n' { '\n' } else { ' ' });
        }
        self.position = end;
    }

    /// Takes a whole identifier, so that the `r` at the end of `for` begins no raw string.
    fn keep_word(&mut self) {
        let begins_word = is_word(self.at(0));
        loop {
            self.code.push(self.chars[self.position]);
            self.position += 1;
            if !begins_word || self.position >= self.chars.len() || !is_word(self.at(0)) {
                return;
            }
        }
    }

    fn comment_end(&self) -> Option<usize> {
        match (self.at(0), self.at(1)) {
            ('/', '/') => {
                let rest = &self.chars[self.position..];
                let length = rest.iter().position(|letter| *letter == '\n').unwrap_or(rest.len());
                Some(self.position + length)
            }
            ('/', '*') => Some(self.block_comment_end()),
            _ => None,
        }
    }

    /// Block comments nest.
    fn block_comment_end(&self) -> usize {
        let mut depth = 0_usize;
        let mut at = self.position;
        while at < self.chars.len() {
            let pair = (self.chars[at], self.chars.get(at + 1).copied().unwrap_or('\0'));
            match pair {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    at += 1;
                    continue;
                }
            }
            at += 2;
            if depth == 0 {
                return at;
            }
        }
        at
    }

    fn literal_end(&self) -> Option<usize> {
        // `b"`, `c"`, `b'`, `r"`, `br#"`, `cr##"` and the plain ones.
        let prefix = usize::from(matches!(self.at(0), 'b' | 'c'));
        if self.at(prefix) == 'r' {
            return self.raw_string_end(prefix + 1);
        }
        match self.at(prefix) {
            '"' => Some(self.quoted_end(prefix, '"')),
            '\'' if prefix == 0 || self.at(0) == 'b' => self.char_end(prefix),
            _ => None,
        }
    }

    fn raw_string_end(&self, hashes_at: usize) -> Option<usize> {
        let mut hashes = 0;
        while self.at(hashes_at + hashes) == '#' {
            hashes += 1;
        }
        if self.at(hashes_at + hashes) != '"' {
            return None;
        }
        let mut at = self.position + hashes_at + hashes + 1;
        while at < self.chars.len() {
            let closing = self.chars[at + 1..].iter().take(hashes);
            if self.chars[at] == '"' && closing.filter(|letter| **letter == '#').count() == hashes {
                return Some(at + 1 + hashes);
            }
            at += 1;
        }
        Some(at)
    }

    fn quoted_end(&self, prefix: usize, quote: char) -> usize {
        let mut at = self.position + prefix + 1;
        while at < self.chars.len() && self.chars[at] != quote {
            at += if self.chars[at] == '\\' { 2 } else { 1 };
        }
        at + 1
    }

    /// A character literal, or nothing when the quote begins a lifetime or a label.
    fn char_end(&self, prefix: usize) -> Option<usize> {
        let is_char = self.at(prefix + 1) == '\\' || self.at(prefix + 2) == '\'';
        is_char.then(|| self.quoted_end(prefix, '\''))
    }
}

pub(super) fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        split(text).code.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn literals_are_blanked() {
        assert_eq!(code(r#"a("}{ \" }", b"{", c"{")"#), "a( , , )");
        assert_eq!(code("x(r#\"{ \" {\"#, br##\"}\"# }\"##)"), "x( , )");
        assert_eq!(code(r"m('{', '\'', '\u{7d}', b'}', '\\')"), "m( , , , , )");
    }

    #[test]
    fn lifetimes_labels_and_raw_names_are_code() {
        assert_eq!(code("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
        assert_eq!(code("'outer: loop { break 'outer; }"), "'outer: loop { break 'outer; }");
        assert_eq!(code("let r#fn = for_r\"{\";"), "let r#fn = for_r ;");
    }

    #[test]
    fn comments_are_kept_apart_with_their_lines() {
        let source = split("a // {\n/* { /* } */ {\n*/ b\n");
        assert_eq!(source.code.matches('\n').count(), 3);
        assert!(!source.code.contains('{'));
        let lines: Vec<usize> = source.comments.iter().map(|comment| comment.line).collect();
        assert_eq!(lines, [1, 2]);
    }

    #[test]
    fn unfinished_input_ends() {
        for text in ["\"", "r#\"", "/*", "'\\", "b'", "//", "'"] {
            let _ = split(text);
        }
    }
}
