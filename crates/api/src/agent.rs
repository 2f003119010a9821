//! Agents: what a manager does on other hosts, it does through them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tintype_model::identifier::Id;
use tintype_model::resource::Resource;
use tintype_model::{Error, Result};
use utoipa::ToSchema;

/// Join tokens begin with it, so that scanners of leaks find them.
pub const JOIN_PREFIX: &str = "tintype_join_";
/// The name under which every manager answers its agents, whatever its address is: its certificate
/// for that name is of the authority that agents pin.
pub const SERVER_NAME: &str = "manager.tintype.internal";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentSpec {
    /// Whether it gets work.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// The name of its host, as it told it when it joined; what is sent is ignored.
    #[serde(default)]
    #[schema(read_only)]
    pub host: String,
}

fn yes() -> bool {
    true
}

/// What was last heard of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentState {
    /// Heard of within the last minute.
    pub is_here: bool,
    /// None: not since this manager was installed, or recovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen: Option<Timestamp>,
    #[serde(default)]
    pub address: String,
    #[serde(default)]
    pub version: String,
    /// Until when its certificate is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub certificate_expires: Option<Timestamp>,
    /// What it works on.
    #[serde(default)]
    pub doing: Vec<String>,
    /// Why it gets no work although it asks for it, and what helps: its version, or another host
    /// that uses its identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// What to run on its host, where it is away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// A token with which one agent joins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJoinToken {
    /// Id of the tenant to which the agent will belong; default: that of whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tenant: Option<Id>,
    /// Not valid from then on; an hour from now unless told, a week at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
    /// `host:port` under which the agent reaches the manager, if not those that it knows itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct JoinToken {
    /// Told this once; works once.
    pub token: String,
    #[schema(value_type = String, format = DateTime)]
    pub expires: Timestamp,
}

/// What an agent says to join.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The secret in its token.
    #[schema(max_length = 200)]
    pub secret: String,
    /// Base64 of an uncompressed point of P-256. Its private key never leaves the agent.
    #[schema(max_length = 200)]
    pub public_key: String,
    #[schema(max_length = 100)]
    pub name: String,
    #[schema(max_length = 255)]
    pub host: String,
    #[schema(max_length = 100)]
    pub version: String,
}

/// To whom an agent belongs from now on, and how it shows that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Joined {
    #[schema(value_type = String)]
    pub id: Id,
    pub name: String,
    pub certificate: Certificate,
    /// `host:port` of the manager.
    pub addresses: Vec<String>,
    /// Version of the manager.
    pub version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Certificate {
    /// PEM.
    pub pem: String,
    #[schema(value_type = String, format = DateTime)]
    pub issued: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub expires: Timestamp,
}

/// An agent that wants a new certificate.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// As in [`Join`].
    #[schema(max_length = 200)]
    pub public_key: String,
}

/// Where a manager is now, as it leaves it in storages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    pub time: Timestamp,
    /// `host:port`
    pub addresses: Vec<String>,
}

/// A [`Move`] as text, and the base64 of what the authority of agents signed it with (ECDSA with
/// P-256 and SHA-256, DER).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub text: String,
    pub signature: String,
}

/// What was found on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Discovered {
    pub found: Vec<FoundResource>,
    /// Connectors that could not look.
    pub problems: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FoundResource {
    /// As docs/resources.md describes it.
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    pub resource: Resource,
    /// The consistency that it reaches.
    pub reaches: String,
    /// Why not more, and what would help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not_more: Option<String>,
}

/// What stands in a join token: `tintype_join_SECRET.AUTHORITY.ADDRESSES`, so that already the first
/// connection goes to the right manager, wherever it is.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinText {
    pub secret: String,
    /// DER.
    pub authority: Vec<u8>,
    /// `host:port`
    pub addresses: Vec<String>,
}

impl fmt::Display for JoinText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = URL_SAFE_NO_PAD.encode(&self.authority);
        let addresses = URL_SAFE_NO_PAD.encode(self.addresses.join(","));
        write!(f, "{JOIN_PREFIX}{}.{authority}.{addresses}", self.secret)
    }
}

impl JoinText {
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(
                "that is no join token: take it whole, as `tintype agent token` prints it",
            )
        };
        let rest = text.trim().strip_prefix(JOIN_PREFIX).ok_or_else(wrong)?;
        let parts: Vec<&str> = rest.split('.').collect();
        let [secret, authority, addresses] = parts[..] else { return Err(wrong()) };
        let authority = URL_SAFE_NO_PAD.decode(authority).map_err(|_| wrong())?;
        let addresses = URL_SAFE_NO_PAD.decode(addresses).map_err(|_| wrong())?;
        let addresses = String::from_utf8(addresses).map_err(|_| wrong())?;
        let addresses = addresses.split(',').map(str::to_owned).collect();
        Ok(Self { secret: secret.to_owned(), authority, addresses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_token_is_read_whole_or_refused() {
        let text = JoinText {
            secret: "abc-_1".into(),
            authority: vec![0, 255, 7],
            addresses: vec!["backup.example.com:8443".into(), "[::1]:8443".into()],
        };
        let shown = text.to_string();
        assert!(JoinText::parse(&format!(" {shown}\n")).unwrap() == text);
        for length in 0..shown.len() {
            if let Ok(cut) = JoinText::parse(&shown[..length]) {
                assert!(cut != text, "{length}");
            }
        }
        assert!(JoinText::parse("tintype_abc").is_err());
    }
}
