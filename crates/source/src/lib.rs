//! Where data comes from and where a restore writes to. Knows no repository.

pub mod files;
