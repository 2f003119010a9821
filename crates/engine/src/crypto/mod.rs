//! Keys, sealing and key slots (format.md §2, §5, §6).

pub mod aead;
pub mod age;
pub mod age_file;
pub mod keys;
pub mod slot;
