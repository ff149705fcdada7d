//! JSON of a stranger, as far as an event needs it.
//!
//! Not `serde_json::Value`: with the feature `arbitrary_precision` that type takes an object with
//! serde_json's own token as its first key for a number, and fails if it is no number. This type
//! knows no token, so it fails only if the text is not JSON.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value. Nobody asks for its numbers.
#[derive(Debug)]
pub enum Json {
    /// A string.
    Text(String),
    /// `true` or `false`.
    Flag(bool),
    /// An array.
    List(Vec<Json>),
    /// An object, duplicate names included.
    Object(Vec<(String, Json)>),
    /// `null`, or a number.
    Other,
}

impl Json {
    /// Takes a field out of an object. Of several with one name the last counts, as in most readers of JSON.
    pub fn take(&mut self, name: &str) -> Self {
        let Self::Object(fields) = self else {
            return Self::Other;
        };
        fields
            .iter_mut()
            .rfind(|(field, _)| field == name)
            .map_or(Self::Other, |(_, value)| std::mem::replace(value, Self::Other))
    }

    /// A string's text.
    pub fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether this is `true`.
    pub fn is_true(&self) -> bool {
        matches!(self, Self::Flag(true))
    }

    /// The names of an object that have text, or a list that begins with text.
    pub fn pairs(self) -> Vec<(String, String)> {
        let Self::Object(fields) = self else {
            return Vec::new();
        };
        let text = |value: Self| match value {
            Self::List(values) => values.into_iter().next()?.text(),
            value => value.text(),
        };
        fields.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect()
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyJson)
    }
}

struct AnyJson;

impl<'de> Visitor<'de> for AnyJson {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Json, E> {
        Ok(Json::Flag(flag))
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    // With `arbitrary_precision` a number comes here too, as an object with one field: nobody asks for that one.
    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(field) = fields.next_entry()? {
            object.push(field);
        }
        Ok(Json::Object(object))
    }
}
