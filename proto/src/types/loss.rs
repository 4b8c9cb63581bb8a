//! Who is told when a value loses something on its way into a record.

use std::fmt;
use std::sync::Arc;

use crate::table::{Column, Table};

/// Called once for every value that lost something.
pub type OnLoss = Arc<dyn Fn() + Send + Sync>;

/// Gives a column of a table what is called when one of its values loses something: `NaN` that becomes null, an array in
/// an array, a date of Java's calendar. Nobody is told by default.
#[derive(Clone, Default)]
pub struct Losses(Option<Arc<OnLossOf>>);

type OnLossOf = dyn Fn(&Table, &Column) -> OnLoss + Send + Sync;

impl Losses {
    /// Tells what `on_loss` gives for the column.
    pub fn new(on_loss: impl Fn(&Table, &Column) -> OnLoss + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(on_loss)))
    }

    /// For one column.
    pub(crate) fn of(&self, table: &Table, column: &Column) -> ColumnLosses {
        ColumnLosses(self.0.as_ref().map(|on_loss| on_loss(table, column)))
    }
}

impl fmt::Debug for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Losses").finish_non_exhaustive()
    }
}

/// One column's.
#[derive(Clone, Default)]
pub(crate) struct ColumnLosses(Option<OnLoss>);

impl ColumnLosses {
    pub(super) fn tell(&self) {
        if let Some(on_loss) = &self.0 {
            on_loss();
        }
    }
}

impl fmt::Debug for ColumnLosses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ColumnLosses").finish_non_exhaustive()
    }
}
