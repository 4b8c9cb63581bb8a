//! Offsets.

use proto::position::{Offset, java_object as java};
use serde_json::{Map, Value};
use streamer::source::snapshot::done::Done;

/// What the offset topic holds of a connector.
pub fn offset(data: &[u8]) {
    let Ok(map) = serde_json::from_slice::<Map<String, Value>>(data) else { return };
    if let Ok(offset) = Offset::from_map(&map) {
        let _stored = offset.to_map();
        let _done = offset.snapshot_done.as_deref().map(|stored| Done::parse(stored).to_text());
    }
}

/// A key as Java serializes it: in hexadecimal digits, or as the bytes behind the stream's header.
pub fn java_object(data: &[u8]) {
    let digits: String = data.iter().map(|byte| format!("{byte:02X}")).collect();
    let texts = [std::str::from_utf8(data).ok().map(str::to_owned), Some(format!("ACED0005{digits}"))];
    for text in texts.into_iter().flatten() {
        if let Some(values) = java::read(&text) {
            let _written = java::write(values.as_deref());
        }
    }
}
