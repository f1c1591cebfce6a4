use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::MeasuredError;
use crate::document::suggest;

/// The rows of a CSV file with a header.
pub(super) struct Table {
    file: PathBuf,
    columns: BTreeMap<String, usize>,
    rows: csv::StringRecordsIntoIter<std::fs::File>,
}

/// A row, its columns by name.
pub(super) struct Line<'a> {
    file: &'a Path,
    columns: &'a BTreeMap<String, usize>,
    record: csv::StringRecord,
    number: u64,
}

/// The columns of a file: nothing, if it has no header.
pub(super) fn header(file: &Path) -> Result<Vec<String>, MeasuredError> {
    let mut reader = reader(file)?;
    let header = reader
        .headers()
        .map_err(|error| MeasuredError::file(file, error.to_string()))?;
    Ok(header.iter().map(|it| it.trim().to_owned()).collect())
}

fn reader(file: &Path) -> Result<csv::Reader<std::fs::File>, MeasuredError> {
    let open = std::fs::File::open(file).map_err(|error| MeasuredError::unreadable(file, error))?;
    let mut builder = csv::ReaderBuilder::new();
    Ok(builder.comment(Some(b'#')).from_reader(open))
}

impl Table {
    /// Opens a file whose columns are all known, and which has all that are required.
    pub(super) fn open(
        file: &Path,
        known: &[&str],
        required: &[&str],
    ) -> Result<Self, MeasuredError> {
        let mut columns = BTreeMap::new();
        for (place, name) in header(file)?.into_iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let help = suggest(&name, known.iter().copied(), "there are").unwrap_or_default();
                let message = format!("unknown column `{name}`; {help}");
                return Err(MeasuredError::line(file, 1, message));
            }
            if columns.insert(name.clone(), place).is_some() {
                return Err(MeasuredError::line(
                    file,
                    1,
                    format!("two columns `{name}`"),
                ));
            }
        }
        for name in required {
            if !columns.contains_key(*name) {
                let message = format!("the column `{name}` is missing");
                return Err(MeasuredError::line(file, 1, message));
            }
        }
        Ok(Self {
            file: file.to_owned(),
            columns,
            rows: reader(file)?.into_records(),
        })
    }

    /// Calls `take` with each row.
    pub(super) fn read<T>(
        mut self,
        mut take: impl FnMut(&Line<'_>) -> Result<T, MeasuredError>,
    ) -> Result<Vec<T>, MeasuredError> {
        let mut taken = Vec::new();
        for record in self.rows.by_ref() {
            let record = record.map_err(|error| {
                let line = error.position().map_or(0, csv::Position::line);
                MeasuredError::line(&self.file, line, error.to_string())
            })?;
            let number = record.position().map_or(0, csv::Position::line);
            taken.push(take(&Line {
                file: &self.file,
                columns: &self.columns,
                record,
                number,
            })?);
        }
        Ok(taken)
    }
}

impl Line<'_> {
    /// The text of a column; empty also where there is no such column.
    pub(super) fn text(&self, column: &str) -> &str {
        let place = self.columns.get(column);
        place
            .and_then(|&place| self.record.get(place))
            .map_or("", str::trim)
    }

    /// What is wrong with a column.
    pub(super) fn wrong(&self, column: &str, expected: &str) -> MeasuredError {
        let message = format!("{column} is `{}`: expected {expected}", self.text(column));
        MeasuredError::line(self.file, self.number, message)
    }

    /// A value, or nothing where the column is empty.
    pub(super) fn value<T: FromStr>(
        &self,
        column: &str,
        expected: &str,
    ) -> Result<Option<T>, MeasuredError> {
        match self.text(column) {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| self.wrong(column, expected)),
        }
    }

    /// A number that is finite and not negative, or nothing.
    pub(super) fn number(&self, column: &str) -> Result<Option<f64>, MeasuredError> {
        let expected = "a number, 0 or more";
        match self.value::<f64>(column, expected)? {
            Some(number) if !(number.is_finite() && number >= 0.0) => {
                Err(self.wrong(column, expected))
            }
            number => Ok(number),
        }
    }

    /// A number of things; a fraction is a mean, such as `591.6` tokens.
    pub(super) fn count(&self, column: &str) -> Result<Option<u32>, MeasuredError> {
        let expected = "a whole number, 0 or more";
        match self.number(column)? {
            None => Ok(None),
            Some(number) if number.fract() == 0.0 && number <= f64::from(u32::MAX) => {
                Ok(Some(number as u32))
            }
            Some(_) => Err(self.wrong(column, expected)),
        }
    }

    /// A value that has to be there.
    pub(super) fn required<T>(&self, column: &str, value: Option<T>) -> Result<T, MeasuredError> {
        value.ok_or_else(|| self.wrong(column, "a value, as it is required"))
    }
}
