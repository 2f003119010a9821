//! Kinds of objects that have the usual five operations.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::agent::AgentSpec;
use crate::connector::ConnectorSpec;
use crate::profile::ProfileSpec;
use crate::resource::ResourceSpec;
use crate::storage::StorageSpec;
use crate::sync::SyncSpec;
use crate::tenant::TenantSpec;
use crate::token::TokenSpec;
use crate::user::UserSpec;

pub trait Noun: Serialize + DeserializeOwned {
    /// `/tenants`
    const PATH: &'static str;
    /// `tenant`
    const NAME: &'static str;
}

impl Noun for TenantSpec {
    const PATH: &'static str = "/tenants";
    const NAME: &'static str = "tenant";
}

impl Noun for UserSpec {
    const PATH: &'static str = "/users";
    const NAME: &'static str = "user";
}

impl Noun for TokenSpec {
    const PATH: &'static str = "/tokens";
    const NAME: &'static str = "token";
}

impl Noun for StorageSpec {
    const PATH: &'static str = "/storages";
    const NAME: &'static str = "storage";
}

impl Noun for ResourceSpec {
    const PATH: &'static str = "/resources";
    const NAME: &'static str = "resource";
}

impl Noun for ProfileSpec {
    const PATH: &'static str = "/profiles";
    const NAME: &'static str = "profile";
}

impl Noun for ConnectorSpec {
    const PATH: &'static str = "/connectors";
    const NAME: &'static str = "connector";
}

impl Noun for SyncSpec {
    const PATH: &'static str = "/syncs";
    const NAME: &'static str = "sync";
}

impl Noun for AgentSpec {
    const PATH: &'static str = "/agents";
    const NAME: &'static str = "agent";
}
