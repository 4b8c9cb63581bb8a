//! `point`.

use super::NotA;
use crate::connect::writer::ValueWriter;

/// `(1.5,-2)`.
pub(super) fn parse(text: &str) -> Result<(f64, f64), NotA> {
    const WHAT: NotA = NotA("a point");
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).ok_or(WHAT)?;
    let (x, y) = inner.split_once(',').ok_or(WHAT)?;
    Ok((x.parse().map_err(|_| WHAT)?, y.parse().map_err(|_| WHAT)?))
}

/// `io.debezium.data.geometry.Point`: the coordinates, and both again as little-endian WKB.
pub(super) fn write(x: f64, y: f64, writer: &mut impl ValueWriter) {
    let mut wkb = Vec::with_capacity(21);
    wkb.push(1);
    wkb.extend_from_slice(&1_u32.to_le_bytes());
    wkb.extend_from_slice(&x.to_le_bytes());
    wkb.extend_from_slice(&y.to_le_bytes());
    writer.begin_struct();
    writer.field("x");
    writer.float64(x);
    writer.field("y");
    writer.float64(y);
    writer.field("wkb");
    writer.bytes(&wkb);
    writer.field("srid");
    writer.null();
    writer.end_struct();
}
