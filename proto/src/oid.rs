//! Object ids.

use std::fmt;

/// The id of a table or type in PostgreSQL's catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(u32);

impl Oid {
    /// The id as a query parameter takes it.
    pub const fn as_u32(self) -> u32 {
        self.0
    }
}

impl From<u32> for Oid {
    fn from(id: u32) -> Self {
        Self(id)
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
