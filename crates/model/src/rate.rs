//! Bytes per second: `10MiB/s`, `500k`, `unlimited`.

use crate::{Result, size};

/// `None` is no limit.
pub fn parse(text: &str) -> Result<Option<u64>> {
    let trimmed = text.trim();
    if matches!(trimmed, "unlimited" | "none") {
        return Ok(None);
    }
    let bytes = size::parse(trimmed.strip_suffix("/s").unwrap_or(trimmed))
        .map_err(|e| e.context(format!("limit {text:?}")))?;
    if bytes == 0 {
        return Err(crate::Error::invalid(format!(
            "limit {text:?} would stop everything; write it like 10MiB/s, or unlimited"
        )));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        assert_eq!(parse("10MiB/s").unwrap(), Some(10 << 20));
        assert_eq!(parse("500k").unwrap(), Some(512_000));
        assert_eq!(parse("unlimited").unwrap(), None);
        assert!(parse("0").unwrap_err().to_string().contains("stop everything"));
        assert!(parse("fast").unwrap_err().to_string().contains("limit \"fast\""));
    }
}
