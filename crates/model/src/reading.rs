//! What a reader of JSON or YAML says is wrong, in words of people who write such a thing by hand.

/// `message` is one of serde; what is not known stays as it is.
pub fn plain(message: &str) -> String {
    let (what, at) = match message.rfind(" at line ") {
        Some(at) => message.split_at(at),
        None => (message, ""),
    };
    // Where it is may stand before it, as `resources[0].kind: `.
    match what.split_once(": ") {
        Some((place, what)) if !place.contains(' ') => format!("{place}: {}{at}", told(what)),
        _ => format!("{}{at}", told(what)),
    }
}

fn told(what: &str) -> String {
    let after = |start: &str| what.strip_prefix(start);
    let is_other = after("invalid type: ").or_else(|| after("invalid value: "));
    if let Some((found, wanted)) = is_other.and_then(|rest| rest.split_once(", expected ")) {
        return format!("{} is no {}", found_words(found), wanted_words(wanted));
    }
    if let Some(field) = after("missing field ") {
        return format!("{field} is missing");
    }
    if let Some(field) = after("duplicate field ") {
        return format!("{field} stands there twice");
    }
    if let Some((found, rest)) = after("unknown variant ").and_then(|r| r.split_once(", expected "))
    {
        let known = rest.trim_start_matches("one of ");
        return format!("{found} is not known here; there is {known}");
    }
    match what {
        "provided string was not `true` or `false`" => "neither `true` nor `false`".to_owned(),
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "no whole number".to_owned()
        }
        "number too large to fit in target type" => "the number is too large".to_owned(),
        _ if what.starts_with("data did not match any variant of untagged enum") => {
            "it has none of the forms that are known here".to_owned()
        }
        _ => what.to_owned(),
    }
}

fn found_words(found: &str) -> String {
    let named = [
        ("null", "nothing"),
        ("unit value", "nothing"),
        ("sequence", "a list"),
        ("map", "an object"),
        ("string ", "the text "),
        ("integer ", "the number "),
        ("floating point ", "the number "),
        ("boolean ", ""),
    ];
    let known = named.iter().find_map(|(start, word)| Some((word, found.strip_prefix(start)?)));
    known.map_or_else(|| found.to_owned(), |(word, rest)| format!("{word}{rest}"))
}

fn wanted_words(wanted: &str) -> String {
    let is_number = matches!(
        wanted,
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize"
    );
    match wanted {
        _ if is_number => "whole number in its range".to_owned(),
        "f32" | "f64" => "number".to_owned(),
        "a string" | "a borrowed string" | "string" => "text".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => "list".to_owned(),
        "a map" => "object".to_owned(),
        _ if wanted.starts_with("struct ") => "object".to_owned(),
        _ if wanted.starts_with("enum ") || wanted == "variant identifier" => {
            "choice of those that there are".to_owned()
        }
        _ => wanted.trim_start_matches("an ").trim_start_matches("a ").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_in_plain_words() {
        for (message, want) in [
            (
                "invalid type: string \"x\", expected u32",
                "the text \"x\" is no whole number in its range",
            ),
            (
                "invalid value: integer `-1`, expected u64",
                "the number `-1` is no whole number in its range",
            ),
            ("invalid type: sequence, expected an object", "a list is no object"),
            ("invalid type: null, expected a string", "nothing is no text"),
            (
                "invalid type: map, expected a sequence at line 3 column 5",
                "an object is no list at line 3 column 5",
            ),
            ("invalid type: boolean `true`, expected struct Period", "`true` is no object"),
            ("missing field `name`", "`name` is missing"),
            ("periods[0]: missing field `name`", "periods[0]: `name` is missing"),
            (
                "unknown variant `weekday`, expected one of `daily`, `weekly`",
                "`weekday` is not known here; there is `daily`, `weekly`",
            ),
            (
                "unknown field `retain`, expected `retention`",
                "unknown field `retain`, expected `retention`",
            ),
            (
                "data did not match any variant of untagged enum Component",
                "it has none of the forms that are known here",
            ),
        ] {
            assert_eq!(plain(message), want);
        }
    }
}
