//! The rows of one chunk while they wait for its window to close.

use std::collections::HashMap;

use proto::pgoutput::Datum;

/// A chunk's rows, in order, by their record keys.
#[derive(Debug, Default)]
pub struct Window {
    rows: Vec<Option<Vec<Datum>>>,
    places: HashMap<Vec<u8>, usize>,
}

impl Window {
    /// Takes a row; `key` says which columns are its record's key. Without a key a row is never taken out again.
    pub fn push(&mut self, row: Vec<Datum>, key: &[usize]) {
        if let Some(key) = key_of(&row, key) {
            self.places.insert(key, self.rows.len());
        }
        self.rows.push(Some(row));
    }

    /// A change of a row: the stream has a newer state of it than the chunk. Whether the row was here.
    pub fn remove(&mut self, row: &[Datum], key: &[usize]) -> bool {
        let place = key_of(row, key).and_then(|key| self.places.remove(&key));
        place.and_then(|place| self.rows.get_mut(place)).is_some_and(|row| row.take().is_some())
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows.iter().all(Option::is_none)
    }

    /// The rows that are still here; none are left.
    pub fn take(&mut self) -> Vec<Vec<Datum>> {
        self.places.clear();
        std::mem::take(&mut self.rows).into_iter().flatten().collect()
    }
}

/// The key's values with their lengths, so that no two keys look the same; `None` when one of them is not there.
fn key_of(row: &[Datum], columns: &[usize]) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    for column in columns {
        match row.get(*column) {
            Some(Datum::Text(text)) => {
                key.extend_from_slice(&(text.len() as u64).to_be_bytes());
                key.extend_from_slice(text);
            }
            // A unique index may hold nulls.
            Some(Datum::Null) => key.extend_from_slice(&u64::MAX.to_be_bytes()),
            _ => return None,
        }
    }
    (!columns.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[&'static str]) -> Vec<Datum> {
        values.iter().map(|value| Datum::Text((*value).into())).collect()
    }

    #[test]
    fn a_changed_row_leaves_the_window_and_the_others_keep_their_order() {
        let mut window = Window::default();
        for id in ["1", "2", "3"] {
            window.push(row(&[id, "x"]), &[0]);
        }
        // The change comes with its columns in another order.
        assert!(window.remove(&row(&["y", "2"]), &[1]));
        assert!(!window.remove(&row(&["y", "2"]), &[1]));
        assert_eq!(window.take(), [row(&["1", "x"]), row(&["3", "x"])]);
        assert!(window.is_empty());
    }

    #[test]
    fn keys_of_two_columns_are_not_mixed_up() {
        let mut window = Window::default();
        window.push(row(&["ab", "c"]), &[0, 1]);
        assert!(!window.remove(&row(&["a", "bc"]), &[0, 1]));
    }
}
