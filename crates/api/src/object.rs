//! What all objects have in common.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use tintype_model::identifier::Id;
use utoipa::ToSchema;

/// An object as it is kept. `spec` is what its owner wants of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Object<S> {
    #[schema(value_type = String)]
    pub id: Id,
    /// Id of the tenant to which it belongs.
    #[schema(value_type = String)]
    pub tenant: Id,
    /// Unique among those of its kind in its tenant.
    pub name: String,
    /// Counts its changes; the `ETag`.
    pub version: i64,
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub changed: Timestamp,
    pub spec: S,
}

/// The name under which descriptions speak of it: `Object` means anything to those who make them.
pub type Kept<S> = Object<S>;

/// An object to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewObject<S> {
    /// Letters, digits, `.`, `_` and `-`, beginning with a letter or digit; at most 100 bytes.
    #[schema(min_length = 1, max_length = 100, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    pub name: String,
    /// Id of its tenant; default: that of whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tenant: Option<Id>,
    pub spec: S,
}

/// What an object is to be from now on; what is left out stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "S: Deserialize<'de>"))]
pub struct ChangedObject<S> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 100, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    pub name: Option<String>,
    #[serde(
        default = "none",
        deserialize_with = "not_null",
        skip_serializing_if = "Option::is_none"
    )]
    pub spec: Option<S>,
}

fn not_null<'de, D: Deserializer<'de>, S: Deserialize<'de>>(
    from: D,
) -> Result<Option<S>, D::Error> {
    S::deserialize(from).map(Some)
}

fn none<S>() -> Option<S> {
    None
}
