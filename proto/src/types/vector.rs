//! pgvector's `vector`, `halfvec` and `sparsevec` (`io.debezium.data.vector`).

use std::str::FromStr;

use super::{NotA, Unconvertible};
use crate::connect::writer::ValueWriter;

/// `[1,2.5,-3]`.
///
/// # Errors
/// When the text is not of that form.
pub(super) fn parse<T: FromStr>(text: &str) -> Result<Vec<T>, NotA> {
    const WHAT: NotA = NotA("a vector");
    let inner = text.trim().strip_prefix('[').and_then(|text| text.strip_suffix(']')).ok_or(WHAT)?;
    inner.split(',').map(|element| element.trim().parse().map_err(|_| WHAT)).collect()
}

/// `{1:1.5,3:2}/5`: the entries' places and values, and how many there could be. Debezium has 16 bits for places and
/// dimensions; what does not fit has no form.
pub(super) fn parse_sparse(text: &str) -> Result<(i16, Vec<(i16, f64)>), Unconvertible> {
    const WHAT: NotA = NotA("a sparsevec");
    let (entries, dimensions) = text.trim().split_once('/').ok_or(WHAT)?;
    let inner = entries.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}')).ok_or(WHAT)?;
    let short = |text: &str| {
        let number: i64 = text.trim().parse().map_err(|_| WHAT)?;
        i16::try_from(number).map_err(|_| Unconvertible::NoForm)
    };
    let entry = |entry: &str| {
        let (place, value) = entry.split_once(':').ok_or(WHAT)?;
        Ok::<_, Unconvertible>((short(place)?, value.trim().parse().map_err(|_| WHAT)?))
    };
    let entries = match inner.trim() {
        "" => Vec::new(),
        inner => inner.split(',').map(entry).collect::<Result<_, _>>()?,
    };
    Ok((short(dimensions)?, entries))
}

/// Writes a sparse vector, its entries in the order of the `HashMap<Short, Double>` that Debezium fills.
pub(super) fn write_sparse(dimensions: i16, entries: &[(i16, f64)], writer: &mut impl ValueWriter) {
    let mut buckets = entries.len().next_power_of_two();
    if entries.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    let mut ordered = entries.to_vec();
    ordered.sort_by_key(|(place, _)| {
        let hash = i32::from(*place) as u32;
        (hash ^ hash >> 16) as usize & (buckets - 1)
    });
    writer.begin_struct();
    writer.field("dimensions");
    writer.int16(dimensions);
    writer.field("vector");
    writer.begin_map(false);
    for (place, value) in ordered {
        writer.entry();
        writer.int16(place);
        writer.entry_value();
        writer.float64(value);
        writer.end_entry();
    }
    writer.end_map();
    writer.end_struct();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::json::JsonWriter;

    fn sparse(text: &str) -> String {
        let (dimensions, entries) = parse_sparse(text).unwrap();
        let mut out = Vec::new();
        write_sparse(dimensions, &entries, &mut JsonWriter::new(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_vector_is_its_numbers() {
        assert_eq!(parse::<f64>("[1,2.5,-3e-05]").unwrap(), [1.0, 2.5, -3e-05]);
        assert!(parse::<f32>("{1}").is_err());
    }

    #[test]
    fn a_sparse_vector_has_its_entries_in_a_hash_maps_order() {
        assert_eq!(sparse("{1:1.5,3:2}/5"), r#"{"dimensions":5,"vector":[[1,1.5],[3,2.0]]}"#);
        assert_eq!(sparse("{3:1,5:2,8:3}/9"), r#"{"dimensions":9,"vector":[[8,3.0],[5,2.0],[3,1.0]]}"#);
        assert_eq!(sparse("{}/5"), r#"{"dimensions":5,"vector":[]}"#);
    }

    #[test]
    fn more_dimensions_than_16_bits_count_have_no_form() {
        assert_eq!(parse_sparse("{1:1}/40000"), Err(Unconvertible::NoForm));
        assert_eq!(parse_sparse("{1:1}"), Err(NotA("a sparsevec").into()));
    }
}
