//! How a column's values are read, found out once.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proto::table::{PgType, PgTypeKind};
use proto::types::array::name_uuid;
use proto::types::{BinaryMode, DecimalMode, Fidelity, Form, HstoreMode, Placeholder, Temporal, hstore};

use super::Unreadable;
use super::handling::Handling;
use super::hstore::push_pair;

/// How a column's values are read.
#[derive(Debug, Clone)]
pub struct Reader {
    pub(super) form: Form,
    /// For those who are told what cannot be read.
    type_name: String,
    unavailable: Unavailable,
    /// The one text that stands for a value that was not sent; `None`: a text is always a value.
    mark: Option<Arc<str>>,
    /// Whether an array of numbers may.
    has_marking_elements: bool,
}

/// What stands for a TOASTed value that a change did not touch (`unavailable.value.placeholder`), in the forms that it has in
/// columns of different types.
#[derive(Debug, Clone)]
pub struct Unavailable {
    bytes: Arc<[u8]>,
    text: Arc<str>,
    base64: Arc<str>,
    uuid: Arc<str>,
    json: Arc<str>,
    hstore: Arc<str>,
}

impl From<&Placeholder> for Unavailable {
    fn from(placeholder: &Placeholder) -> Self {
        let text = placeholder.text();
        let mut pair = String::new();
        push_pair(text, Some(text), &mut pair);
        Self {
            bytes: placeholder.bytes().into(),
            text: text.into(),
            base64: STANDARD.encode(placeholder.bytes()).into(),
            uuid: name_uuid(placeholder.bytes()).into(),
            json: hstore::json(&[(text.to_owned(), Some(text.to_owned()))]).into(),
            hstore: pair.into(),
        }
    }
}

impl Reader {
    /// Of a type and its modifier, that of a domain being the type underneath.
    pub fn new(pg_type: &PgType, typmod: i32, handling: &Handling) -> Self {
        // Of types that Debezium leaves out nothing comes. If something does, it can only be the value's text.
        let form = Form::of(pg_type, typmod, &handling.modes).unwrap_or(Form::Text);
        Self::in_column(form, pg_type, handling)
    }

    /// Of values that have a form whatever the column's type is.
    pub fn in_column(form: Form, pg_type: &PgType, handling: &Handling) -> Self {
        let unavailable = handling.unavailable.clone();
        let is_exact = handling.modes.fidelity == Fidelity::Exact;
        let (mark, has_marking_elements) = match (&form, &pg_type.kind) {
            (Form::Array { element: form, .. }, PgTypeKind::Array { element }) => {
                let mark = match (&**form, element.name.as_str()) {
                    (form, _) if has_base64(form) => &unavailable.base64,
                    (_, "uuid") => &unavailable.uuid,
                    _ => &unavailable.text,
                };
                (Some(mark), is_exact || matches!(element.name.as_str(), "int4" | "int8" | "date"))
            }
            (Form::Words(_) | Form::Vector, _) => (None, is_exact),
            (Form::Hstore(HstoreMode::Json), _) => (Some(&unavailable.json), false),
            (form, _) if has_base64(form) => (Some(&unavailable.base64), false),
            (Form::Bits { .. }, _) if is_exact => (Some(&unavailable.base64), false),
            (Form::Binary(mode) | Form::Unknown(mode), _) => {
                (Some(&unavailable.text).filter(|_| is_exact || *mode == BinaryMode::Hex), false)
            }
            (
                Form::Text
                | Form::Decimal { mode: DecimalMode::String, .. }
                | Form::Date(Temporal::Iso)
                | Form::Hstore(HstoreMode::Map),
                _,
            ) => (Some(&unavailable.text), false),
            _ => (None, false),
        };
        Self { mark: mark.cloned(), has_marking_elements, form, type_name: pg_type.name.clone(), unavailable }
    }

    /// Whether a text stands for a value that was not sent. A domain over hstore has another one than hstore itself.
    pub(super) fn is_mark(&self, text: &str) -> bool {
        self.mark.as_deref() == Some(text) || matches!(self.form, Form::Hstore(_)) && *text == *self.unavailable.text
    }

    /// Whether bytes in base64, where a value consists of more than these, stand for one that was not sent.
    pub(super) fn is_marking_base64(&self, bytes: &str) -> bool {
        *bytes == *self.unavailable.base64
    }

    /// Whether pairs do, as an hstore's text has them.
    pub(super) fn are_marking_pairs(&self, pairs: &str) -> bool {
        *pairs == *self.unavailable.hstore
    }

    /// How many numbers, or how many booleans, stand for an array of them that was not sent: the placeholder's bytes, or their bits.
    pub(super) fn marking_elements(&self, element: &Form) -> usize {
        match (self.has_marking_elements, element) {
            (false, _) => 0,
            (true, Form::Boolean) => self.unavailable.bytes.len() * 8,
            (true, _) => self.unavailable.bytes.len(),
        }
    }

    /// The number at a place among them; bytes have a sign in Java.
    pub(super) fn marking_number(&self, place: usize) -> Option<i8> {
        self.unavailable.bytes.get(place).map(|byte| byte.cast_signed())
    }

    /// The boolean at a place among them, lowest bits first.
    pub(super) fn marking_bit(&self, place: usize) -> Option<bool> {
        self.unavailable.bytes.get(place / 8).map(|byte| byte >> (place % 8) & 1 == 1)
    }

    pub(super) fn unexpected(&self) -> Unreadable {
        Unreadable::new(format!(
            "a value of type {} has a form that Debezium does not give it under the connector's handling modes",
            self.type_name
        ))
    }
}

/// Whether the form has its bytes as the JSON converter writes bytes.
fn has_base64(form: &Form) -> bool {
    matches!(form, Form::Binary(BinaryMode::Bytes) | Form::Unknown(BinaryMode::Bytes))
}
