//! JSON as the description of the API says it: serde also takes an array for an object, whose fields
//! would then be guessed by their order.

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Value};
use tintype_model::reading::plain;

/// Says what is wrong, and where.
pub(super) fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(Strict(value)).map_err(|error| {
        let (at, what) = (error.path().to_string(), plain(&error.into_inner().to_string()));
        if at == "." { what } else { format!("{at}: {what}") }
    })
}

/// A value, of which structs are read from objects only.
struct Strict(Value);

impl IntoDeserializer<'_, Error> for Strict {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Strict {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(values) => {
                let mut values = SeqDeserializer::new(values.into_iter().map(Self));
                let read = visitor.visit_seq(&mut values)?;
                values.end().map(|()| read)
            }
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(name, value)| (name, Self(value)));
                let mut fields = MapDeserializer::new(fields);
                let read = visitor.visit_map(&mut fields)?;
                fields.end().map(|()| read)
            }
            simple => simple.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.0 {
            Value::Array(_) => Err(Error::invalid_type(Unexpected::Seq, &"an object")),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Object(fields) if fields.len() == 1 => {
                let fields = fields.into_iter().map(|(name, value)| (name, Self(value)));
                visitor.visit_enum(MapAccessDeserializer::new(MapDeserializer::new(fields)))
            }
            simple => simple.deserialize_enum(name, variants, visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    enum Choice {
        Plain,
        Some { of: Vec<u8> },
        Deep(Inner),
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Inner {
        n: i64,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Outer {
        choice: Choice,
        #[serde(default)]
        inner: Option<Inner>,
        #[serde(default)]
        more: BTreeMap<String, f64>,
    }

    #[test]
    fn what_serde_reads_is_read() {
        let choices = [
            (json!("plain"), Choice::Plain),
            (json!({ "some": { "of": [1, 2] } }), Choice::Some { of: vec![1, 2] }),
            (json!({ "deep": { "n": -1 } }), Choice::Deep(Inner { n: -1 })),
        ];
        for (value, choice) in choices {
            let value = json!({ "choice": value, "inner": { "n": 1 }, "more": { "a": 0.5 } });
            let (inner, more) = (Some(Inner { n: 1 }), [("a".to_owned(), 0.5)].into());
            assert_eq!(read(value), Ok(Outer { choice, inner, more }));
        }
        let none = json!({ "choice": "plain", "inner": null });
        assert_eq!(read::<Outer>(none).unwrap().inner, None);
    }

    #[test]
    fn an_array_is_no_object_however_deep() {
        let wrong = |value: Value| read::<Outer>(value).unwrap_err();
        assert_eq!(wrong(json!(["plain", null])), "a list is no object");
        assert!(wrong(json!({ "choice": "plain", "inner": [1] })).starts_with("inner: a list"));
        assert!(wrong(json!({ "choice": { "deep": [1] } })).contains("a list is no object"));
        assert!(wrong(json!({ "choice": "none" })).contains("not known here"));
        assert!(wrong(json!({ "choice": { "some": { "off": [] } } })).contains("`off`"));
    }
}
