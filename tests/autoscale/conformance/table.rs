//! Tables of vectors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A table with a header.
pub(crate) struct Table(Vec<Row>);

/// A row by the names of its columns.
#[derive(Clone, Debug)]
pub(crate) struct Row(BTreeMap<String, String>);

impl Table {
    pub(crate) fn read(folder: &Path, name: &str) -> Self {
        let path = folder.join(name);
        let mut reader = csv::Reader::from_path(&path).unwrap_or_else(|error| {
            panic!("{}: {error}", path.display());
        });
        Self(reader.deserialize().map(|row| Row(row.unwrap())).collect())
    }

    pub(crate) fn rows(self) -> impl Iterator<Item = Row> {
        self.0.into_iter()
    }
}

impl Row {
    pub(crate) fn text(&self, column: &str) -> &str {
        let cell = self.0.get(column);
        cell.unwrap_or_else(|| panic!("no column {column} in {:?}", self.0))
    }

    /// A number; none where the cell is empty.
    pub(crate) fn number(&self, column: &str) -> Option<f64> {
        let text = self.text(column);
        let parse = || text.parse().unwrap_or_else(|_| panic!("{column}: {text}"));
        (!text.is_empty()).then(parse)
    }

    /// A number; 0 where the cell is empty.
    pub(crate) fn real(&self, column: &str) -> f64 {
        self.number(column).unwrap_or(0.0)
    }

    /// A whole number; 0 where the cell is empty.
    pub(crate) fn whole(&self, column: &str) -> u32 {
        self.real(column) as u32
    }

    /// The parts of a cell.
    pub(crate) fn list(&self, column: &str, separator: char) -> Vec<&str> {
        let text = self.text(column);
        match text.is_empty() {
            true => Vec::new(),
            false => text.split(separator).collect(),
        }
    }
}

/// The folders that have vectors of this source: the sample, and all of them where they are there.
pub(crate) fn sources(source: &str) -> Vec<PathBuf> {
    let sample = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/policies"
    ));
    let all = crate::shared::directory();
    let all = all.map(|it| it.join("reference/policy_oracles").join(source));
    let all = all.filter(|it| it.is_dir());
    std::iter::once(sample.join(source)).chain(all).collect()
}

/// Each case of a pair of tables with its steps, in order.
pub(crate) fn cases(folder: &Path, cases: &str, steps: &str) -> Vec<(Row, Vec<Row>)> {
    let mut found: Vec<(Row, Vec<Row>)> = Table::read(folder, cases)
        .rows()
        .map(|case| (case, Vec::new()))
        .collect();
    let places: BTreeMap<String, usize> = found
        .iter()
        .enumerate()
        .map(|(place, (case, _))| (case.text("case").to_owned(), place))
        .collect();
    for step in Table::read(folder, steps).rows() {
        found[places[step.text("case")]].1.push(step);
    }
    found
}
