//! No function over 70 lines, from its `fn` to its closing brace.

use super::Finding;
use super::lexer::is_word;

const LIMIT: usize = 70;

/// A function with a body. Lines count from 1.
#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    first_line: usize,
    last_line: usize,
}

/// `code` has no comments and no literals any more (see [`super::lexer`]).
pub(super) fn check(file: &str, code: &str) -> Vec<Finding> {
    let long = functions(code).into_iter().filter_map(|function| {
        let lines = function.last_line - function.first_line + 1;
        (lines > LIMIT).then(|| Finding {
            file: file.to_owned(),
            line: function.first_line,
            message: format!(
                "function `{}` has {lines} lines; the limit is {LIMIT}",
                function.name
            ),
        })
    });
    long.collect()
}

fn functions(code: &str) -> Vec<Function> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    for (position, pair) in tokens.windows(2).enumerate() {
        // `fn(u8)` is a type, `fn $name` a macro's pattern.
        let is_function = pair[0].text == "fn" && pair[1].text.starts_with(is_word);
        if let Some(last_line) = is_function.then(|| body_end(&tokens[position + 2..])).flatten() {
            let name = pair[1].text.to_owned();
            found.push(Function { name, first_line: pair[0].line, last_line });
        }
    }
    found
}

/// The line of the brace that closes the body; nothing for a declaration without one.
fn body_end(rest: &[Token<'_>]) -> Option<usize> {
    let mut parens = 0_usize;
    let mut braces = 0_usize;
    for token in rest {
        match token.text {
            "(" | "[" => parens += 1,
            ")" | "]" => parens = parens.saturating_sub(1),
            ";" if parens == 0 && braces == 0 => return None,
            // A block inside parentheses of the signature is a constant's, as in `[u8; { N }]`.
            "{" if parens == 0 || braces > 0 => braces += 1,
            "}" if braces > 0 => {
                braces -= 1;
                if braces == 0 {
                    return Some(token.line);
                }
            }
            _ => {}
        }
    }
    None
}

struct Token<'c> {
    text: &'c str,
    line: usize,
}

/// Words and single signs.
fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match rest.find(|letter| !is_word(letter)) {
                Some(0) => first.len_utf8(),
                Some(end) => end,
                None => rest.len(),
            };
            tokens.push(Token { text: &rest[..length], line: number + 1 });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::lexer;

    fn spans(text: &str) -> Vec<(String, usize, usize)> {
        let functions = functions(&lexer::split(text).code);
        functions.into_iter().map(|found| (found.name, found.first_line, found.last_line)).collect()
    }

    #[test]
    fn spans_reach_from_fn_to_the_closing_brace() {
        let text =
            "pub fn a<'x>(y: &'x [u8; { 3 }])\n-> u8\nwhere u8: Copy,\n{\n  \"}\"; // }\n  0\n}\n";
        assert_eq!(spans(text), [("a".to_owned(), 1, 7)]);
    }

    #[test]
    fn nested_functions_count_twice_and_declarations_not() {
        let text = "trait T { fn d(&self); }\nfn o() {\n fn i() {\n }\n}\ntype F = fn(u8) -> u8;\n";
        assert_eq!(spans(text), [("o".to_owned(), 2, 5), ("i".to_owned(), 3, 4)]);
    }

    #[test]
    fn a_macro_pattern_is_no_function() {
        assert!(spans("macro_rules! m { ($n:ident) => { fn $n() {} } }").is_empty());
    }

    #[test]
    fn long_functions_are_found() {
        let body = |lines: usize| format!("fn long() {{\n{}}}\n", "x();\n".repeat(lines - 2));
        assert!(check("a.rs", &body(LIMIT)).is_empty());
        let found = check("a.rs", &body(LIMIT + 1));
        assert_eq!(found[0].line, 1);
        assert!(found[0].message.contains("`long` has 71 lines"));
    }
}
