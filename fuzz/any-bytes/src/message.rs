//! The replication stream and COPY.

use bytes::Bytes;
use proto::pgoutput::decode;
use streamer::source::snapshot::copy_text::parse_line;

/// One message of the replication stream.
pub fn pgoutput(data: &[u8]) {
    let _message = decode(Bytes::copy_from_slice(data));
}

/// One line of COPY's text format.
pub fn copy_line(data: &[u8]) {
    let _values = parse_line(&Bytes::copy_from_slice(data), &mut Vec::new());
}
