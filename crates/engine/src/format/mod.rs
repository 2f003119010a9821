//! Byte formats (docs/format.md). Encoders write only what decoders accept; decoders treat
//! every byte as hostile.

pub mod bytes;
pub mod frame;
pub mod limits;
pub mod object;
pub mod padme;
pub mod records;

#[cfg(test)]
mod tests;
