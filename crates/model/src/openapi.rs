//! Descriptions for the API of what is written as text.

#[cfg(feature = "openapi")]
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
#[cfg(feature = "openapi")]
use utoipa::openapi::{RefOr, Schema};

/// A string of this form.
#[cfg(feature = "openapi")]
pub(crate) fn text(description: &str, pattern: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .description(Some(description))
        .pattern(Some(pattern))
        .build()
        .into()
}

/// Implements what the API needs to describe a type that is written as text.
macro_rules! described_as_text {
    ($type:ty, $description:literal, $pattern:literal) => {
        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                crate::openapi::text($description, $pattern)
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $type {}
    };
}

pub(crate) use described_as_text;
