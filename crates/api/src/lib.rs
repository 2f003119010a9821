//! Wire types of the manager's API, from which `openapi/v1.json` is made. The rules that all of
//! them follow are in docs/manager.md, section 7.

pub mod agent;
pub mod audit;
pub mod bundle;
pub mod change;
#[cfg(feature = "client")]
pub mod client;
pub mod connector;
pub mod content;
pub mod events;
pub mod key;
pub mod login;
#[cfg(feature = "client")]
mod noun;
pub mod object;
#[cfg(feature = "client")]
mod overview;
pub mod page;
pub mod problem;
pub mod profile;
pub mod resource;
pub mod restore;
pub mod run;
pub mod snapshot;
pub mod status;
pub mod storage;
pub mod sync;
pub mod tenant;
pub mod token;
pub mod user;
pub mod work;

/// Below it lies everything of this version.
pub const ROOT: &str = "/api/v1";
