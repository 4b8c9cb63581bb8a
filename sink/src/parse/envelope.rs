//! An envelope's fields, as far as they are asked for.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of an object that mean something in an envelope, or around one. Of one that comes twice the last counts.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    schema: bool,
    payload: Option<&'a RawValue>,
    pub(super) op: Option<Scalar<'a>>,
    pub(super) source: Option<Source<'a>>,
    pub(super) before: Option<&'a RawValue>,
    pub(super) after: Option<&'a RawValue>,
    pub(super) transaction: Option<Transaction<'a>>,
    pub(super) message: Option<&'a RawValue>,
    ts_ms: Option<IgnoredAny>,
    others: bool,
}

impl<'a> Fields<'a> {
    /// Whether there is nothing but a time, as in a heartbeat.
    pub(super) fn has_only_time(&self) -> bool {
        self.ts_ms.is_some() && !self.schema && self.payload.is_none() && !self.is_envelope_s()
    }

    fn is_envelope_s(&self) -> bool {
        self.op.is_some() || self.source.is_some() || self.after.is_some() || self.others
    }

    /// What is in a schema's company.
    pub(super) fn wrapped(&self) -> Option<&'a RawValue> {
        let is_wrapped = self.schema && self.ts_ms.is_none() && !self.is_envelope_s();
        self.payload.filter(|_| is_wrapped)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Name {
    Schema,
    Payload,
    Op,
    Source,
    Before,
    After,
    Transaction,
    Message,
    TsMs,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfMap;

        impl<'de> Visitor<'de> for OfMap {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Fields::default();
                while let Some(name) = map.next_key()? {
                    match name {
                        Name::Schema => {
                            fields.schema = true;
                            map.next_value::<IgnoredAny>()?;
                        }
                        Name::Payload => fields.payload = Some(map.next_value()?),
                        Name::Op => fields.op = Some(map.next_value()?),
                        Name::Source => fields.source = Some(map.next_value()?),
                        Name::Before => {
                            fields.others = true;
                            fields.before = Some(map.next_value()?);
                        }
                        Name::After => fields.after = Some(map.next_value()?),
                        Name::Transaction => {
                            fields.others = true;
                            fields.transaction = Some(map.next_value()?);
                        }
                        Name::Message => {
                            fields.others = true;
                            fields.message = Some(map.next_value()?);
                        }
                        Name::TsMs => fields.ts_ms = Some(map.next_value()?),
                        Name::Other => {
                            fields.others = true;
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(OfMap)
    }
}

/// Where a change comes from: an object, or else nothing of it.
#[derive(Debug, Default)]
pub(super) struct Source<'a> {
    pub(super) schema: Option<Scalar<'a>>,
    pub(super) table: Option<Scalar<'a>>,
    pub(super) ts_ms: Option<Scalar<'a>>,
    pub(super) transaction: Option<Scalar<'a>>,
    pub(super) lsn: Option<Scalar<'a>>,
}

/// The transaction that a change is of: an object, or else nothing of it.
#[derive(Debug, Default)]
pub(super) struct Transaction<'a> {
    pub(super) id: Option<Scalar<'a>>,
    pub(super) total_order: Option<Scalar<'a>>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum TransactionName {
    Id,
    TotalOrder,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum SourceName {
    Schema,
    Table,
    TsMs,
    #[serde(rename = "txId")]
    TxId,
    Lsn,
    #[serde(other)]
    Other,
}

/// A text or a whole number, or else nothing of it.
#[derive(Debug)]
pub(super) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Integer(i64),
    Other,
}

impl<'a> Scalar<'a> {
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        if let Scalar::Text(text) = self { Some(text) } else { None }
    }
}

/// What a visitor makes of values that it does not want: passes over them.
macro_rules! pass_over {
    ($other:expr; $($visit:ident($type:ty)),*) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a value")
        }

        $(fn $visit<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok($other)
        })*

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($other)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
            while elements.next_element::<IgnoredAny>()?.is_some() {}
            Ok($other)
        }
    };
}

impl<'de> Deserialize<'de> for Source<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfAny;

        impl<'de> Visitor<'de> for OfAny {
            type Value = Source<'de>;

            pass_over!(Source::default(); visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut source = Source::default();
                while let Some(name) = map.next_key()? {
                    match name {
                        SourceName::Schema => source.schema = Some(map.next_value()?),
                        SourceName::Table => source.table = Some(map.next_value()?),
                        SourceName::TsMs => source.ts_ms = Some(map.next_value()?),
                        SourceName::TxId => source.transaction = Some(map.next_value()?),
                        SourceName::Lsn => source.lsn = Some(map.next_value()?),
                        SourceName::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(source)
            }
        }

        deserializer.deserialize_any(OfAny)
    }
}

impl<'de> Deserialize<'de> for Transaction<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfAny;

        impl<'de> Visitor<'de> for OfAny {
            type Value = Transaction<'de>;

            pass_over!(Transaction::default(); visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut transaction = Transaction::default();
                while let Some(name) = map.next_key()? {
                    match name {
                        TransactionName::Id => transaction.id = Some(map.next_value()?),
                        TransactionName::TotalOrder => transaction.total_order = Some(map.next_value()?),
                        TransactionName::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(transaction)
            }
        }

        deserializer.deserialize_any(OfAny)
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfAny;

        impl<'de> Visitor<'de> for OfAny {
            type Value = Scalar<'de>;

            pass_over!(Scalar::Other; visit_bool(bool), visit_f64(f64));

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Integer(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(i64::try_from(number).map_or(Scalar::Other, Scalar::Integer))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }

        deserializer.deserialize_any(OfAny)
    }
}
