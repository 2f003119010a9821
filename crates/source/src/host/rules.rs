//! Rules of a restore as new. One that nobody knows would do nothing, and what it was to change would
//! go where nobody meant it to.

use std::collections::BTreeMap;

use tintype_model::{Error, Result};

/// `Invalid` names the first that is none of `known`; one that ends with a dot stands for all that
/// begin with it.
pub(crate) fn check(name: &str, rules: &BTreeMap<String, String>, known: &[&str]) -> Result<()> {
    let is_known = |rule: &str| {
        let mut known = known.iter();
        known.any(|known| *known == rule || (known.ends_with('.') && rule.starts_with(known)))
    };
    let Some(rule) = rules.keys().find(|rule| !is_known(rule)) else { return Ok(()) };
    let shown: Vec<String> = known
        .iter()
        .map(
            |known| if known.ends_with('.') { format!("{known}NAME") } else { (*known).to_owned() },
        )
        .collect();
    let cure = match shown.is_empty() {
        true => "it takes none".to_owned(),
        false => format!("it takes {}", shown.join(", ")),
    };
    Err(Error::invalid(format!("{name}: there is no rule {rule}; {cure}")))
}

/// `Invalid` if it is neither.
pub(crate) fn yes_or_no(
    name: &str,
    rules: &BTreeMap<String, String>,
    rule: &str,
) -> Result<Option<bool>> {
    match rules.get(rule).map(String::as_str) {
        None => Ok(None),
        Some("yes") => Ok(Some(true)),
        Some("no") => Ok(Some(false)),
        Some(other) => {
            Err(Error::invalid(format!("{name}: the rule {rule} is yes or no, not {other:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_knows_is_refused() {
        let rules = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
            all.iter().map(|(rule, value)| ((*rule).to_owned(), (*value).to_owned())).collect()
        };
        let known = ["owner", "tablespace."];
        check("db", &rules(&[("owner", "a"), ("tablespace.16999", "/x")]), &known).unwrap();
        let error = check("db", &rules(&[("tablespaces.1", "/x")]), &known).unwrap_err();
        assert!(error.message().contains("it takes owner, tablespace.NAME"), "{error}");
        check("db", &rules(&[("owner", "a")]), &[]).unwrap_err();
        let said = |value| yes_or_no("db", &rules(&[("start", value)]), "start");
        assert_eq!(said("yes").unwrap(), Some(true));
        assert_eq!(said("no").unwrap(), Some(false));
        said("true").unwrap_err();
        assert_eq!(yes_or_no("db", &rules(&[]), "start").unwrap(), None);
    }
}
