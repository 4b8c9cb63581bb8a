//! Single message transforms (`transforms`, `predicates`): what a configuration does to records before the converters.

use proto::connect::record::ConnectRecord;

use crate::error::TaskError;

/// One transform, configured.
pub trait Transform: std::fmt::Debug + Send {
    /// Takes a record and gives it back changed; `None` drops it.
    ///
    /// # Errors
    /// Stop when the record is not of the form the transform needs.
    fn apply(&mut self, record: ConnectRecord) -> Result<Option<ConnectRecord>, TaskError>;
}

/// The connector's transforms in their order.
#[derive(Debug, Default)]
pub struct Chain {
    transforms: Vec<Box<dyn Transform>>,
}

impl Chain {
    /// Whether records pass unchanged.
    pub fn is_empty(&self) -> bool {
        self.transforms.is_empty()
    }

    /// Takes a record through all transforms; `None` when one drops it.
    ///
    /// # Errors
    /// As [`Transform::apply`].
    pub fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TaskError> {
        for transform in &mut self.transforms {
            match transform.apply(record)? {
                Some(changed) => record = changed,
                None => return Ok(None),
            }
        }
        Ok(Some(record))
    }
}
