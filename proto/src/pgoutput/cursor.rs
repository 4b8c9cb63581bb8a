//! A checked reader over one message.

use bytes::{Buf, Bytes};

use super::DecodeError;

/// Reads from the front; every read says what it wanted when the bytes end.
#[derive(Debug)]
pub(super) struct Cursor {
    bytes: Bytes,
}

impl Cursor {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    pub(super) fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        self.bytes.try_get_u8().map_err(|_| DecodeError::Truncated(what))
    }

    pub(super) fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        self.bytes.try_get_u16().map_err(|_| DecodeError::Truncated(what))
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.bytes.try_get_u32().map_err(|_| DecodeError::Truncated(what))
    }

    pub(super) fn i32(&mut self, what: &'static str) -> Result<i32, DecodeError> {
        self.bytes.try_get_i32().map_err(|_| DecodeError::Truncated(what))
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        self.bytes.try_get_u64().map_err(|_| DecodeError::Truncated(what))
    }

    /// A timestamp in microseconds since 2000 as microseconds since 1970. A server's clock cannot leave the range; bytes
    /// that say so saturate.
    pub(super) fn timestamp(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        let since_2000 = self.bytes.try_get_i64().map_err(|_| DecodeError::Truncated(what))?;
        Ok(since_2000.saturating_add(946_684_800_000_000))
    }

    pub(super) fn bytes(&mut self, length: u32, what: &'static str) -> Result<Bytes, DecodeError> {
        match usize::try_from(length) {
            Ok(length) if length <= self.bytes.len() => Ok(self.bytes.split_to(length)),
            _ => Err(DecodeError::Truncated(what)),
        }
    }

    /// A text that ends with a zero byte.
    pub(super) fn text(&mut self, what: &'static str) -> Result<String, DecodeError> {
        let end = self.bytes.iter().position(|byte| *byte == 0).ok_or(DecodeError::Truncated(what))?;
        let text = self.bytes.split_to(end);
        self.bytes.advance(1);
        String::from_utf8(text.into()).map_err(|_| DecodeError::NotUtf8(what))
    }
}
