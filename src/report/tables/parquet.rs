use std::fs::File;
use std::io::Write;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::{Cells, Kind, Table};
use crate::report::ReportError;

/// Rows gathered before they are written: some megabytes of any table.
const GROUP_ROWS: usize = 1 << 16;

/// Writes a table as Parquet, compressed with Snappy, in groups of 65,536 rows. A file that was not
/// finished cannot be read: its index comes last.
pub struct ParquetWriter<T, W: Write + Send = File> {
    sheet: Sheet<W>,
    table: PhantomData<T>,
}

impl<T, W: Write + Send> std::fmt::Debug for ParquetWriter<T, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetWriter")
            .field("path", &self.sheet.path)
            .finish_non_exhaustive()
    }
}

impl<T: Table, W: Write + Send> ParquetWriter<T, W> {
    /// Starts the file in `out`; errors will name `path`.
    ///
    /// # Errors
    /// [`ReportError::Io`] when `out` fails.
    pub fn new(out: W, path: impl Into<PathBuf>) -> Result<Self, ReportError> {
        let columns = T::COLUMNS.iter().map(|it| (it.name, it.kind));
        Ok(Self {
            sheet: Sheet::new(out, path.into(), columns)?,
            table: PhantomData,
        })
    }

    /// Adds one row.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the destination fails.
    pub fn write(&mut self, row: T::Row<'_>) -> Result<(), ReportError> {
        T::cells(row, &mut self.sheet.group);
        self.sheet.end_row()
    }

    /// Writes the remaining rows and the index, and returns the destination.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the destination fails.
    pub fn finish(self) -> Result<W, ReportError> {
        self.sheet.finish()
    }
}

/// Writes a table whose columns are known only now. A row calls the method of its column's kind for each cell.
pub(in crate::report) fn write_parquet_sheet<'a, W: Write + Send>(
    out: W,
    path: &Path,
    columns: impl Iterator<Item = (&'a str, Kind)>,
    rows: impl Iterator<Item = impl FnOnce(&mut dyn Cells)>,
) -> Result<W, ReportError> {
    let mut sheet = Sheet::new(out, path.to_owned(), columns)?;
    for row in rows {
        row(&mut sheet.group);
        sheet.end_row()?;
    }
    sheet.finish()
}

/// A file under way.
struct Sheet<W: Write + Send> {
    out: SerializedFileWriter<W>,
    group: Group,
    path: PathBuf,
}

impl<W: Write + Send> Sheet<W> {
    fn new<'a>(
        out: W,
        path: PathBuf,
        columns: impl Iterator<Item = (&'a str, Kind)>,
    ) -> Result<Self, ReportError> {
        let columns: Vec<(&str, Kind)> = columns.collect();
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("fleetsim ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let out = schema(&columns)
            .and_then(|schema| SerializedFileWriter::new(out, schema, Arc::new(properties)))
            .map_err(|error| ReportError::io(&path, "write")(io_error(error)))?;
        Ok(Self {
            out,
            group: Group {
                columns: columns.iter().map(|(_, kind)| Values::new(*kind)).collect(),
                next: 0,
                rows: 0,
            },
            path,
        })
    }

    /// Ends a row whose cells are in the group.
    fn end_row(&mut self) -> Result<(), ReportError> {
        self.group.next = 0;
        self.group.rows += 1;
        match self.group.rows {
            GROUP_ROWS => self.flush_group(),
            _ => Ok(()),
        }
    }

    fn flush_group(&mut self) -> Result<(), ReportError> {
        let written = self.group.write(&mut self.out);
        written.map_err(|error| ReportError::io(&self.path, "write")(io_error(error)))
    }

    fn finish(mut self) -> Result<W, ReportError> {
        if self.group.rows > 0 {
            self.flush_group()?;
        }
        let finished = self.out.into_inner();
        finished.map_err(|error| ReportError::io(&self.path, "write")(io_error(error)))
    }
}

/// Rows that have not been written yet, column by column.
struct Group {
    columns: Vec<Values>,
    /// The column that the next cell is of.
    next: usize,
    rows: usize,
}

impl Group {
    fn write<W: Write + Send>(&mut self, out: &mut SerializedFileWriter<W>) -> ParquetResult<()> {
        let mut group = out.next_row_group()?;
        for values in &mut self.columns {
            if let Some(mut column) = group.next_column()? {
                values.write(column.untyped())?;
                column.close()?;
            }
        }
        self.rows = 0;
        group.close()?;
        Ok(())
    }

    fn cell(&mut self) -> &mut Values {
        self.next += 1;
        &mut self.columns[self.next - 1]
    }
}

impl Cells for Group {
    /// A column has one type: numbers.
    fn id(&mut self, number: u64, _: Option<&str>) {
        self.integer(number);
    }

    fn integer(&mut self, value: u64) {
        if let Values::Integers(column) = self.cell() {
            // Numbers are of instances, tokens and bytes, all far below 2^63.
            column.push(value.cast_signed());
        }
    }

    fn float(&mut self, value: f64) {
        if !value.is_finite() {
            self.empty();
        } else if let Values::Floats(column) = self.cell() {
            column.push(value);
        }
    }

    fn text(&mut self, value: &str) {
        if let Values::Texts(column) = self.cell() {
            column.push(value.into());
        }
    }

    fn empty(&mut self) {
        match self.cell() {
            Values::Integers(column) => column.present.push(0),
            Values::Floats(column) => column.present.push(0),
            Values::Texts(column) => column.present.push(0),
        }
    }
}

enum Values {
    Integers(Sparse<i64>),
    Floats(Sparse<f64>),
    Texts(Sparse<ByteArray>),
}

/// Values, and for each row whether there is one.
struct Sparse<V> {
    values: Vec<V>,
    present: Vec<i16>,
}

impl<V> Sparse<V> {
    const fn new() -> Self {
        Self {
            values: Vec::new(),
            present: Vec::new(),
        }
    }

    fn push(&mut self, value: V) {
        self.values.push(value);
        self.present.push(1);
    }

    fn clear(&mut self) {
        self.values.clear();
        self.present.clear();
    }
}

impl Values {
    const fn new(kind: Kind) -> Self {
        match kind {
            Kind::Integer => Self::Integers(Sparse::new()),
            Kind::Float => Self::Floats(Sparse::new()),
            Kind::Text => Self::Texts(Sparse::new()),
        }
    }

    /// Writes the column, and empties it.
    fn write(&mut self, column: &mut ColumnWriter<'_>) -> ParquetResult<()> {
        match (self, column) {
            (Self::Integers(from), ColumnWriter::Int64ColumnWriter(to)) => {
                to.write_batch(&from.values, Some(&from.present), None)?;
                from.clear();
            }
            (Self::Floats(from), ColumnWriter::DoubleColumnWriter(to)) => {
                to.write_batch(&from.values, Some(&from.present), None)?;
                from.clear();
            }
            (Self::Texts(from), ColumnWriter::ByteArrayColumnWriter(to)) => {
                to.write_batch(&from.values, Some(&from.present), None)?;
                from.clear();
            }
            _ => return Err(ParquetError::General("a column of another kind".into())),
        }
        Ok(())
    }
}

fn schema(columns: &[(&str, Kind)]) -> ParquetResult<Arc<Type>> {
    let fields = columns.iter().map(|&(name, kind)| {
        let (physical, logical) = match kind {
            Kind::Integer => (Physical::INT64, None),
            Kind::Float => (Physical::DOUBLE, None),
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
            .map(Arc::new)
    });
    let fields = fields.collect::<ParquetResult<Vec<_>>>()?;
    let table = Type::group_type_builder("table").with_fields(fields);
    Ok(Arc::new(table.build()?))
}

/// What the operating system said, if it is in there.
fn io_error(error: ParquetError) -> std::io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(error) => *error,
            Err(other) => std::io::Error::other(other),
        },
        other => std::io::Error::other(other),
    }
}
