//! `sweep.parquet`: what `sweep.csv` holds, each column of one type.

use std::io::Write;
use std::path::Path;

use super::ReportError;
use super::sweep::Names;
use super::tables::{Cells, Kind, write_parquet_sheet};
use crate::study::Figure;
use crate::study::sweep::SweepResult;

/// Writes it. A column is of whole numbers or of floats where all its values are, else of text.
pub(super) fn write_sweep_parquet<W: Write + Send>(
    out: W,
    path: &Path,
    result: &SweepResult,
) -> Result<W, ReportError> {
    let names = Names::of(result);
    let axes = &result.heading.columns;
    let axis_kinds = (0..axes.len()).map(|column| {
        let cells = result.runs.iter().filter_map(|it| it.cells.get(column));
        widest(cells.map(|it| kind_of_text(it)))
    });
    let axis_kinds: Vec<Kind> = axis_kinds.collect();
    let figures: Vec<Vec<Option<&Figure>>> =
        result.runs.iter().map(|it| names.figures(it)).collect();
    let kinds = (0..names.all.len()).map(|column| {
        let cells = figures.iter().filter_map(|it| it[column]);
        widest(cells.filter_map(kind_of))
    });
    let kinds: Vec<Kind> = kinds.collect();
    let columns = [("run", Kind::Integer)]
        .into_iter()
        .chain(
            axes.iter()
                .map(String::as_str)
                .zip(axis_kinds.iter().copied()),
        )
        .chain([("error", Kind::Text)])
        .chain(names.all.iter().copied().zip(kinds.iter().copied()));
    let rows = result.runs.iter().zip(&figures).map(|(done, figures)| {
        let (axis_kinds, kinds) = (&axis_kinds, &kinds);
        move |cells: &mut dyn Cells| {
            cells.integer(done.run as u64);
            for (text, kind) in done.cells.iter().zip(axis_kinds) {
                put_text(cells, text, *kind);
            }
            match &done.error {
                Some(error) => cells.text(error),
                None => cells.empty(),
            }
            for (figure, kind) in figures.iter().zip(kinds) {
                put(cells, *figure, *kind);
            }
        }
    });
    write_parquet_sheet(out, path, columns, rows)
}

/// The kind that can hold all of these; text for none at all.
fn widest(kinds: impl Iterator<Item = Kind>) -> Kind {
    let joined = kinds.reduce(|one, other| match (one, other) {
        (Kind::Text, _) | (_, Kind::Text) => Kind::Text,
        (Kind::Float, _) | (_, Kind::Float) => Kind::Float,
        (Kind::Integer, Kind::Integer) => Kind::Integer,
    });
    joined.unwrap_or(Kind::Text)
}

/// None of a figure that is not known: any column may lack it.
const fn kind_of(figure: &Figure) -> Option<Kind> {
    match figure {
        Figure::Integer(_) => Some(Kind::Integer),
        Figure::Float(_) => Some(Kind::Float),
        Figure::Flag(_) | Figure::Text(_) => Some(Kind::Text),
        Figure::Unknown(()) => None,
    }
}

fn kind_of_text(text: &str) -> Kind {
    // A column of whole numbers holds those up to 2^63.
    if text.parse::<i64>().is_ok_and(|it| it >= 0) {
        Kind::Integer
    } else if text.parse::<f64>().is_ok_and(f64::is_finite) {
        Kind::Float
    } else {
        Kind::Text
    }
}

fn put_text(cells: &mut dyn Cells, text: &str, kind: Kind) {
    match (kind, text.parse(), text.parse()) {
        (Kind::Integer, Ok(value), _) => cells.integer(value),
        (Kind::Float, _, Ok(value)) => cells.float(value),
        _ => cells.text(text),
    }
}

fn put(cells: &mut dyn Cells, figure: Option<&Figure>, kind: Kind) {
    match (kind, figure) {
        (_, None | Some(Figure::Unknown(()))) => cells.empty(),
        (Kind::Integer, Some(Figure::Integer(value))) => cells.integer(*value),
        (Kind::Float, Some(figure)) => match figure.number() {
            Some(value) => cells.float(value),
            None => cells.empty(),
        },
        (_, Some(Figure::Text(text))) => cells.text(text),
        (_, Some(Figure::Flag(flag))) => cells.text(if *flag { "true" } else { "false" }),
        (_, Some(Figure::Integer(value))) => cells.text(&value.to_string()),
        (_, Some(Figure::Float(value))) => cells.text(&value.to_string()),
    }
}
