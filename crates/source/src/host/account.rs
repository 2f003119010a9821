//! Accounts of servers by name, for what root makes in their place.

/// Number of a user and of its first group, as `/etc/passwd` has them.
pub(crate) fn find(user: &str) -> Option<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(user))?;
    let mut numbers = line.split(':').skip(2).map(|field| field.parse::<u32>().ok());
    Some((numbers.next()??, numbers.next()??))
}
