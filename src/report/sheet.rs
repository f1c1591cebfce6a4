#[cfg(feature = "parquet")]
use super::ParquetWriter;
use super::options::Format;
use super::{CsvWriter, ReportError, ResultsDirectory, Table};

/// A table, if there is to be one.
pub(super) fn sheet<T: Table>(
    results: &ResultsDirectory,
    formats: &[Format],
    wanted: bool,
) -> Result<Option<Sheet<T>>, ReportError>
where
    for<'a> T::Row<'a>: Copy,
{
    wanted.then(|| Sheet::new(results, formats)).transpose()
}

pub(super) fn finish<T: Table>(sheet: Option<Sheet<T>>) -> Result<(), ReportError>
where
    for<'a> T::Row<'a>: Copy,
{
    sheet.map_or(Ok(()), Sheet::finish)
}

/// One table, in the formats that every table is written in.
#[derive(Debug)]
pub(super) struct Sheet<T: Table> {
    csv: CsvWriter<T>,
    #[cfg(feature = "parquet")]
    parquet: Option<ParquetWriter<T>>,
}

impl<T: Table> Sheet<T>
where
    for<'a> T::Row<'a>: Copy,
{
    #[cfg_attr(
        not(feature = "parquet"),
        expect(unused_variables, reason = "there is only CSV then")
    )]
    pub(super) fn new(results: &ResultsDirectory, formats: &[Format]) -> Result<Self, ReportError> {
        #[cfg(feature = "parquet")]
        let parquet = formats.contains(&Format::Parquet);
        Ok(Self {
            csv: results.csv()?,
            #[cfg(feature = "parquet")]
            parquet: parquet.then(|| results.parquet()).transpose()?,
        })
    }

    pub(super) fn write(&mut self, row: T::Row<'_>) -> Result<(), ReportError> {
        #[cfg(feature = "parquet")]
        if let Some(parquet) = &mut self.parquet {
            parquet.write(row)?;
        }
        self.csv.write(row)
    }

    pub(super) fn finish(self) -> Result<(), ReportError> {
        self.csv.finish()?;
        #[cfg(feature = "parquet")]
        if let Some(parquet) = self.parquet {
            parquet.finish()?;
        }
        Ok(())
    }
}
