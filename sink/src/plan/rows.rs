//! Rows on their way into a table.

/// A column's place in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cell {
    /// The change does not say anything about the column.
    #[default]
    Absent,
    /// A TOASTed value that the change did not touch: it stays.
    Unchanged,
    /// NULL.
    Null,
    /// A text: from where to where in the rows' texts.
    Text(usize, usize),
}

/// Rows of a table: a cell for each of its columns, and the texts of all cells one behind the other.
#[derive(Debug)]
pub struct Rows {
    width: usize,
    cells: Vec<Cell>,
    texts: String,
}

/// A row that is being written.
#[derive(Debug)]
pub struct NewRow<'a> {
    cells: &'a mut [Cell],
    /// Where the text of a cell goes, at the end.
    pub texts: &'a mut String,
}

impl NewRow<'_> {
    /// Sets a column's cell. Of one that comes twice the last counts.
    pub fn set(&mut self, column: usize, cell: Cell) {
        if let Some(place) = self.cells.get_mut(column) {
            *place = cell;
        }
    }

    /// What a column's cell is.
    pub fn cell(&self, column: usize) -> Cell {
        self.cells.get(column).copied().unwrap_or_default()
    }
}

impl Rows {
    /// No rows, of a table with so many columns.
    pub fn new(width: usize) -> Self {
        Self { width, cells: Vec::new(), texts: String::new() }
    }

    /// Writes a row, and gives its number; nothing stays of one that fails.
    ///
    /// # Errors
    /// What `write` fails with.
    pub fn add<E>(&mut self, write: impl FnOnce(&mut NewRow<'_>) -> Result<(), E>) -> Result<usize, E> {
        let (begin, texts) = (self.cells.len(), self.texts.len());
        self.cells.resize(begin + self.width, Cell::Absent);
        let cells = self.cells.get_mut(begin..).unwrap_or_default();
        let written = write(&mut NewRow { cells, texts: &mut self.texts });
        if written.is_err() {
            self.cells.truncate(begin);
            self.texts.truncate(texts);
        }
        written.map(|()| begin / self.width.max(1))
    }

    /// A row's cell of a column.
    pub fn cell(&self, row: usize, column: usize) -> Cell {
        self.row(row).get(column).copied().unwrap_or_default()
    }

    /// A row's cells.
    pub fn row(&self, row: usize) -> &[Cell] {
        self.cells.get(row * self.width..(row + 1) * self.width).unwrap_or_default()
    }

    /// A row's text of a column, `None` for NULL or nothing.
    pub fn text(&self, row: usize, column: usize) -> Option<&str> {
        match self.cell(row, column) {
            Cell::Text(from, to) => self.texts.get(from..to),
            _ => None,
        }
    }

    /// Whatever a row leaves out is as in an earlier one.
    pub fn complete(&mut self, row: usize, earlier: usize) {
        for column in 0..self.width {
            if matches!(self.cell(row, column), Cell::Absent | Cell::Unchanged) {
                let cell = self.cell(earlier, column);
                if let Some(place) = self.cells.get_mut(row * self.width + column).filter(|_| cell != Cell::Absent) {
                    *place = cell;
                }
            }
        }
    }

    /// How many bytes they take.
    pub fn size(&self) -> usize {
        self.texts.len() + size_of_val(self.cells.as_slice())
    }
}
