//! Arrays, and what else comes as one.

use proto::types::Form;
use serde::de::{IgnoredAny, SeqAccess};

use super::Unreadable;
use super::reader::Reader;
use super::value::{Place, Written};

/// What was seen of an array's elements: whether they stand for an array that was not sent.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Whether the mark's text is among them.
    pub(super) text: bool,
    /// How many of the mark's numbers or booleans came, one behind the other.
    pub(super) elements: usize,
}

impl Seen {
    /// Whether so many elements stand for an array that was not sent.
    fn is_mark(&self, count: usize, element: &Form, reader: &Reader) -> bool {
        self.text && count == 1 || count > 0 && self.elements == count && count == reader.marking_elements(element)
    }
}

/// Reads an array, or another list of values.
pub(super) fn read<'de, A: SeqAccess<'de>>(
    mut elements: A,
    place: Place<'_>,
) -> Result<Result<Written, Unreadable>, A::Error> {
    match place.form {
        Form::Array { element, delimiter } => literal(elements, place, element, *delimiter),
        Form::Words(element) => list(elements, place, element, ' '),
        Form::Vector => list(elements, place, &Form::Number, ','),
        _ => {
            while elements.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Err(place.reader.unexpected()))
        }
    }
}

/// An array's literal: every element quoted, so that none is taken for something else.
fn literal<'de, A: SeqAccess<'de>>(
    mut elements: A,
    place: Place<'_>,
    element: &Form,
    delimiter: char,
) -> Result<Result<Written, Unreadable>, A::Error> {
    let Place { reader, text, .. } = place;
    let (begin, mut count, mut seen, mut failed) = (text.len(), 0, Seen::default(), None);
    text.push('{');
    loop {
        let start = text.len();
        let item = Place { reader, form: element, text: &mut *text, seen: Some(&mut seen) };
        match elements.next_element_seed(item)? {
            Some(Ok(Written::Text)) => quote(text, start),
            Some(Ok(Written::Null | Written::Unchanged)) => text.push_str("NULL"),
            // What it is only shows at the end.
            Some(Err(why)) => failed = failed.or(Some(why)),
            None => break,
        }
        text.push(delimiter);
        count += 1;
    }
    if seen.is_mark(count, element, reader) {
        text.truncate(begin);
        return Ok(Ok(Written::Unchanged));
    }
    if let Some(why) = failed {
        return Ok(Err(why));
    }
    if count > 0 {
        text.pop();
    }
    text.push('}');
    Ok(Ok(Written::Text))
}

/// Quotes what stands behind `start`, unless it is a whole number or a date.
fn quote(text: &mut String, start: usize) {
    let item = text.get(start..).unwrap_or_default();
    if !item.is_empty() && item.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return;
    }
    if !item.contains(['"', '\\']) {
        text.insert(start, '"');
        text.push('"');
        return;
    }
    let item = text.split_off(start);
    text.push('"');
    for character in item.chars() {
        if matches!(character, '"' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('"');
}

/// Values with something between them, none of which is null: the text of an `int2vector`, and the inside of a `vector`'s.
fn list<'de, A: SeqAccess<'de>>(
    mut elements: A,
    place: Place<'_>,
    element: &Form,
    between: char,
) -> Result<Result<Written, Unreadable>, A::Error> {
    let Place { reader, form, text, seen: around } = place;
    let (begin, mut count, mut seen, mut failed) = (text.len(), 0, Seen::default(), None);
    loop {
        let end = text.len();
        if count > 0 {
            text.push(between);
        }
        let item = Place { reader, form: element, text: &mut *text, seen: Some(&mut seen) };
        match elements.next_element_seed(item)? {
            Some(Ok(Written::Text)) => {}
            Some(Ok(Written::Null | Written::Unchanged)) => failed = failed.or_else(|| Some(reader.unexpected())),
            Some(Err(why)) => failed = failed.or(Some(why)),
            None => {
                text.truncate(end);
                break;
            }
        }
        count += 1;
    }
    match (seen.is_mark(count, element, reader), around) {
        (true, Some(around)) => around.text = true,
        (true, None) => {
            text.truncate(begin);
            return Ok(Ok(Written::Unchanged));
        }
        (false, _) => {}
    }
    if *form == Form::Vector {
        text.insert(begin, '[');
        text.push(']');
    }
    Ok(failed.map_or(Ok(Written::Text), Err))
}
