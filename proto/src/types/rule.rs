//! What the configuration does to single columns: `column.mask.*`, `column.truncate.*`, `*.propagate.source.type`.

use std::fmt;
use std::sync::Arc;

use md5::Md5;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};
use sha3::{Sha3_224, Sha3_256, Sha3_384, Sha3_512};

use super::binary::hex;
use super::source_type::SourceType;
use crate::connect::schema::Schema;
use crate::connect::value::Value;
use crate::table::{Column, Table};

/// One rule (`io.debezium.relational.mapping`). A column has the first one that matches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnRule {
    /// `column.truncate.to.<length>.chars`.
    Truncate(usize),
    /// `column.mask.with.<length>.chars`: a fixed text, for NULL too.
    Mask(String),
    /// `column.mask.hash.<algorithm>.with.salt.<salt>`.
    Hash {
        /// The hash.
        algorithm: HashAlgorithm,
        /// What is hashed before the value.
        salt: String,
        /// What is hashed of the value.
        input: HashInput,
    },
    /// `column.propagate.source.type`, `datatype.propagate.source.type`: the column's type in the schema's parameters.
    SourceType,
}

/// Which rule a column has, if any; no column has one by default.
#[derive(Clone, Default)]
pub struct ColumnRules(Option<Arc<RuleOf>>);

type RuleOf = dyn Fn(&Table, &str, &str) -> Option<ColumnRule> + Send + Sync;

impl ColumnRules {
    /// By the table, the column's name and its type's name.
    pub fn new(rule_of: impl Fn(&Table, &str, &str) -> Option<ColumnRule> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(rule_of)))
    }

    /// A column's rule.
    pub(crate) fn of(&self, table: &Table, column: &Column) -> Option<ColumnRule> {
        let rule_of = self.0.as_ref()?;
        rule_of(table, &column.name, &SourceType::new(column, table.described_by).name())
    }
}

impl fmt::Debug for ColumnRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ColumnRules").finish_non_exhaustive()
    }
}

/// The hashes of Java's `MessageDigest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum HashAlgorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512With224,
    Sha512With256,
    Sha3With224,
    Sha3With256,
    Sha3With384,
    Sha3With512,
}

/// What is hashed of a value (`MaskStrings.HashingByteArrayStrategy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashInput {
    /// Java's serialised string.
    Serialized,
    /// The text's bytes (`hash.v2`).
    Plain,
}

impl HashAlgorithm {
    /// By the name that `MessageDigest.getInstance` takes.
    pub fn find(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "MD5" => HashAlgorithm::Md5,
            "SHA" | "SHA1" | "SHA-1" => HashAlgorithm::Sha1,
            "SHA-224" | "SHA224" => HashAlgorithm::Sha224,
            "SHA-256" | "SHA256" => HashAlgorithm::Sha256,
            "SHA-384" | "SHA384" => HashAlgorithm::Sha384,
            "SHA-512" | "SHA512" => HashAlgorithm::Sha512,
            "SHA-512/224" => HashAlgorithm::Sha512With224,
            "SHA-512/256" => HashAlgorithm::Sha512With256,
            "SHA3-224" => HashAlgorithm::Sha3With224,
            "SHA3-256" => HashAlgorithm::Sha3With256,
            "SHA3-384" => HashAlgorithm::Sha3With384,
            "SHA3-512" => HashAlgorithm::Sha3With512,
            _ => return None,
        })
    }

    fn hash(self, salt: &[u8], value: &[u8]) -> String {
        fn of<D: md5::Digest>(salt: &[u8], value: &[u8]) -> String {
            hex(&D::new().chain_update(salt).chain_update(value).finalize())
        }
        let hash = match self {
            HashAlgorithm::Md5 => of::<Md5>,
            HashAlgorithm::Sha1 => of::<Sha1>,
            HashAlgorithm::Sha224 => of::<Sha224>,
            HashAlgorithm::Sha256 => of::<Sha256>,
            HashAlgorithm::Sha384 => of::<Sha384>,
            HashAlgorithm::Sha512 => of::<Sha512>,
            HashAlgorithm::Sha512With224 => of::<Sha512_224>,
            HashAlgorithm::Sha512With256 => of::<Sha512_256>,
            HashAlgorithm::Sha3With224 => of::<Sha3_224>,
            HashAlgorithm::Sha3With256 => of::<Sha3_256>,
            HashAlgorithm::Sha3With384 => of::<Sha3_384>,
            HashAlgorithm::Sha3With512 => of::<Sha3_512>,
        };
        hash(salt, value)
    }
}

/// What a rule does to a column's values, once it is known which column.
#[derive(Debug, Clone)]
pub(super) enum Mapper {
    /// Texts and bytes longer than this are cut.
    Truncate(usize),
    Mask(String),
    /// A hash, cut to the column's length.
    Hash {
        algorithm: HashAlgorithm,
        salt: String,
        input: HashInput,
        length: usize,
    },
}

impl ColumnRule {
    /// Puts the rule into a column's schema, and gives what it does to values. Texts alone are masked; of other types
    /// only the schema says so.
    pub(super) fn apply(&self, source: &SourceType<'_>, is_jdbc_text: bool, schema: &mut Schema) -> Option<Mapper> {
        match self {
            ColumnRule::Truncate(length) => {
                let is_possible =
                    usize::try_from(source.length()).is_ok_and(|of_column| of_column > *length) || source.length() < 0;
                if !is_possible {
                    return None;
                }
                schema.parameters.push(("truncateLength".into(), length.to_string()));
                Some(Mapper::Truncate(*length))
            }
            ColumnRule::Mask(mask) => {
                schema.parameters.push(("masked".into(), "true".to_owned()));
                is_jdbc_text.then(|| Mapper::Mask(mask.clone()))
            }
            ColumnRule::Hash { algorithm, salt, input } => {
                schema.parameters.push(("masked".into(), "true".to_owned()));
                let length = usize::try_from(source.length()).ok().filter(|length| *length > 0);
                let length = length.unwrap_or(usize::MAX);
                let (algorithm, salt, input) = (*algorithm, salt.clone(), *input);
                is_jdbc_text.then_some(Mapper::Hash { algorithm, salt, input, length })
            }
            ColumnRule::SourceType => {
                let parameter = |name: &str| format!("__debezium.source.column.{name}");
                schema.parameters.push((parameter("type").into(), source.name().to_uppercase()));
                schema.parameters.push((parameter("length").into(), source.length().to_string()));
                if let Some(scale) = source.scale() {
                    schema.parameters.push((parameter("scale").into(), scale.to_string()));
                }
                schema.parameters.push((parameter("name").into(), source.column().to_owned()));
                None
            }
        }
    }
}

impl Mapper {
    /// A value as it is shown.
    pub(super) fn map(&self, value: Value) -> Value {
        match (self, value) {
            (Mapper::Truncate(length), Value::String(text)) => Value::String(cut(text, *length)),
            (Mapper::Truncate(length), Value::Bytes(mut bytes)) => {
                bytes.truncate(*length);
                Value::Bytes(bytes)
            }
            (Mapper::Mask(mask), _) => Value::String(mask.clone()),
            (Mapper::Hash { algorithm, salt, input, length }, Value::String(text)) => {
                let hash = match input {
                    HashInput::Plain => algorithm.hash(salt.as_bytes(), text.as_bytes()),
                    HashInput::Serialized => algorithm.hash(salt.as_bytes(), &serialized(&text)),
                };
                Value::String(cut(hash, *length))
            }
            (_, other) => other,
        }
    }
}

/// The first UTF-16 units of a text, as Java's `substring` counts; half a character is left out.
fn cut(mut text: String, units: usize) -> String {
    let mut count = 0;
    let end = text.char_indices().find_map(|(index, character)| {
        count += character.len_utf16();
        (count > units).then_some(index)
    });
    text.truncate(end.unwrap_or(text.len()));
    text
}

/// `ObjectOutputStream.writeObject` of a string (Java Object Serialization Specification, 6.4): the stream's header, then
/// the string's tag, length and modified UTF-8.
fn serialized(text: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(text.len());
    for unit in text.encode_utf16() {
        match unit {
            1..=0x7F => body.push(unit as u8),
            0 | 0x80..=0x7FF => body.extend([0xC0 | (unit >> 6) as u8, 0x80 | (unit & 0x3F) as u8]),
            _ => body.extend([0xE0 | (unit >> 12) as u8, 0x80 | (unit >> 6 & 0x3F) as u8, 0x80 | (unit & 0x3F) as u8]),
        }
    }
    let mut bytes = vec![0xAC, 0xED, 0x00, 0x05];
    match u16::try_from(body.len()) {
        Ok(length) => {
            bytes.push(0x74);
            bytes.extend(length.to_be_bytes());
        }
        Err(_) => {
            bytes.push(0x7C);
            bytes.extend((body.len() as u64).to_be_bytes());
        }
    }
    bytes.extend(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(algorithm: HashAlgorithm, salt: &str, input: HashInput, length: usize, text: &str) -> Value {
        Mapper::Hash { algorithm, salt: salt.to_owned(), input, length }.map(Value::String(text.to_owned()))
    }

    #[test]
    fn hashes_are_debeziums() {
        let name = hash(HashAlgorithm::Sha256, "CzQMA0cB5K", HashInput::Serialized, usize::MAX, "Alice");
        assert_eq!(name.as_str(), Some("91b1b7e6505507b2e1df181c19d8fbbf30b9c06ba51fb53cec063e504e544cfa"));
        let ssn = hash(HashAlgorithm::Sha256, "CzQMA0cB5K", HashInput::Serialized, 20, "123-45-6789");
        assert_eq!(ssn.as_str(), Some("377189d9d7c7e96e2be1"));
        let note = hash(HashAlgorithm::Sha512, "abc", HashInput::Plain, usize::MAX, "a longer note text ünïcode");
        assert_eq!(note.as_str().map(|hash| &hash[..16]), Some("40c8da553807df27"));
    }

    #[test]
    fn a_mask_hides_null_too_and_a_hash_does_not() {
        assert_eq!(Mapper::Mask("**".to_owned()).map(Value::Null).as_str(), Some("**"));
        let hash = Mapper::Hash {
            algorithm: HashAlgorithm::Md5,
            salt: String::new(),
            input: HashInput::Plain,
            length: usize::MAX,
        };
        assert_eq!(hash.map(Value::Null), Value::Null);
    }

    #[test]
    fn a_text_is_cut_by_javas_characters() {
        assert_eq!(cut("aé🦀b".to_owned(), 4), "aé🦀");
        assert_eq!(cut("aé🦀b".to_owned(), 3), "aé");
        assert_eq!(cut("ab".to_owned(), 4), "ab");
    }
}
