//! Who asks: passwords, sessions and tokens. What they may is decided in `model::rights`.

pub mod caller;
pub mod limiter;
pub mod password;
pub mod secret;
