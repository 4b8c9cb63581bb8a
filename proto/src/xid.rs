//! Transaction ids.

use std::fmt;

/// A transaction's 32-bit id; it wraps around, so it orders nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Xid(u32);

impl Xid {
    /// The id as Debezium writes it into `source.txId`.
    pub const fn as_u32(self) -> u32 {
        self.0
    }
}

impl From<u32> for Xid {
    fn from(id: u32) -> Self {
        Self(id)
    }
}

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
