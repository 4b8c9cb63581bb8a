//! PostGIS' `geometry` and `geography`: hexadecimal EWKB (`PostgisGeometry`).

use super::{NotA, binary};
use crate::connect::writer::ValueWriter;

/// An empty GEOMETRYCOLLECTION, which stands for a value that was not sent.
pub(super) const EMPTY: &[u8] = &[1, 7, 0, 0, 0, 0, 0, 0, 0];

/// The bytes, and the spatial reference system among them.
///
/// # Errors
/// When the text is no EWKB.
pub(super) fn parse(text: &[u8]) -> Result<(Vec<u8>, Option<i32>), NotA> {
    const WHAT: NotA = NotA("an EWKB in hexadecimal form");
    /// The bit of the type's number that says that the reference system follows.
    const HAS_SRID: u32 = 0x2000_0000;
    let ewkb = binary::from_hex(text).map_err(|_| WHAT)?;
    let order = *ewkb.first().ok_or(WHAT)?;
    let word = |at: usize| {
        let bytes: [u8; 4] = ewkb.get(at..at + 4)?.try_into().ok()?;
        Some(if order == 0 { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    };
    let (kind, next) = (word(1).ok_or(WHAT)?, word(5).ok_or(WHAT)?);
    let srid = (kind & HAS_SRID != 0).then_some(next as i32);
    Ok((ewkb, srid))
}

/// `io.debezium.data.geometry.Geometry` and `Geography`.
pub(super) fn write(wkb: &[u8], srid: Option<i32>, writer: &mut impl ValueWriter) {
    writer.begin_struct();
    writer.field("wkb");
    writer.bytes(wkb);
    writer.field("srid");
    match srid {
        Some(srid) => writer.int32(srid),
        None => writer.null(),
    }
    writer.end_struct();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_system_is_read_in_either_byte_order() {
        let little = b"0101000020E6100000000000000000F03F0000000000000040";
        assert_eq!(parse(little).unwrap().1, Some(4326));
        let big = b"0020000001000010E63FF00000000000004000000000000000";
        assert_eq!(parse(big).unwrap().1, Some(4326));
        assert_eq!(parse(b"0101000000000000000000F03F0000000000000040").unwrap().1, None);
        assert_eq!(parse(b"010700000000000000").unwrap(), (EMPTY.to_vec(), None));
    }

    #[test]
    fn what_is_no_ewkb_is_refused() {
        for text in ["", "01", "0101000020", "zz", "POINT(1 2)"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
