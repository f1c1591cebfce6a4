use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Errors, Simulated, Validated};
use crate::measured::quantile;

/// The absolute errors of some rows, as shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorSpread {
    /// Rows that have the figure.
    pub rows: usize,
    /// The mean absolute error.
    pub mean: f64,
    /// The median of the absolute errors.
    pub median: f64,
    /// The 90th percentile of the absolute errors.
    pub p90: f64,
    /// The mean error with its sign.
    pub bias: f64,
}

/// A figure whose error is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Time per output token.
    Tpot,
    /// Time between tokens.
    Itl,
    /// Time to first token.
    Ttft,
    /// Time from arrival to the last token.
    E2e,
    /// Tokens or requests a second.
    Throughput,
    /// The 99th percentile of the time from arrival to the last token.
    E2eP99,
}

impl Figure {
    /// Each of them, in the order of tables.
    pub const ALL: [Self; 6] = [
        Self::Tpot,
        Self::Itl,
        Self::Ttft,
        Self::E2e,
        Self::Throughput,
        Self::E2eP99,
    ];

    /// The name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tpot => "TPOT",
            Self::Itl => "ITL",
            Self::Ttft => "TTFT",
            Self::E2e => "E2E",
            Self::Throughput => "throughput",
            Self::E2eP99 => "E2E p99",
        }
    }

    /// Its error.
    #[must_use]
    pub const fn of(self, errors: &Errors) -> Option<f64> {
        match self {
            Self::Tpot => errors.tpot,
            Self::Itl => errors.itl,
            Self::Ttft => errors.ttft,
            Self::E2e => errors.e2e,
            Self::Throughput => errors.throughput,
            Self::E2eP99 => errors.e2e_p99,
        }
    }
}

impl ErrorSpread {
    /// The spread of a figure's errors over these rows; nothing where none has it.
    #[must_use]
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Validated>, figure: Figure) -> Option<Self> {
        let errors = rows.into_iter().filter_map(|row| {
            let simulated = row.result.as_ref().ok()?;
            figure.of(&simulated.errors)
        });
        let signed: Vec<f64> = errors.collect();
        let mut sizes: Vec<f64> = signed.iter().map(|it| it.abs()).collect();
        if sizes.is_empty() {
            return None;
        }
        sizes.sort_by(f64::total_cmp);
        let count = sizes.len() as f64;
        Some(Self {
            rows: sizes.len(),
            mean: sizes.iter().sum::<f64>() / count,
            median: quantile(&sizes, 0.5),
            p90: quantile(&sizes, 0.9),
            bias: signed.iter().sum::<f64>() / count,
        })
    }
}

/// What rows are put together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Source and kind of coefficients.
    Layer,
    /// Source and kind of model: dense, of experts, with latent attention.
    Kind,
    /// Source, GPU and engine.
    Hardware,
    /// Source, model and precision.
    Model,
}

impl Grouping {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Layer, Self::Kind, Self::Hardware, Self::Model];

    /// What a table of it is called.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Layer => "By source and layer of coefficients",
            Self::Kind => "By source and kind of model",
            Self::Hardware => "By source, GPU and engine",
            Self::Model => "By source and model",
        }
    }

    fn key(self, of: &Validated, simulated: &Simulated) -> String {
        let row = &of.row;
        let arrivals = match row.arrivals {
            crate::measured::Arrivals::AtOnce => " all at once",
            _ => "",
        };
        let queueing = if of.is_queueing() { " queueing" } else { "" };
        let source = format!("{}{arrivals}{queueing}", row.source);
        match self {
            Self::Layer => {
                let layer = simulated.layer.as_str();
                let layer = match layer.strip_prefix("generic") {
                    Some(_) => "generic",
                    None => layer,
                };
                format!("{source}, {layer}")
            }
            Self::Kind => format!("{source}, {}", simulated.kind),
            Self::Hardware => format!("{source}, {}, {}", row.gpu, row.engine),
            Self::Model => format!("{source}, {} {}", row.model, row.precision),
        }
    }

    /// The simulated rows of each group, by name.
    #[must_use]
    pub fn groups(self, validated: &[Validated]) -> BTreeMap<String, Vec<&Validated>> {
        let mut groups: BTreeMap<String, Vec<&Validated>> = BTreeMap::new();
        for of in validated {
            if let Ok(simulated) = &of.result {
                let key = self.key(of, simulated);
                groups.entry(key).or_default().push(of);
            }
        }
        groups
    }
}

/// How often rows were left out, by reason.
#[must_use]
pub fn skipped(validated: &[Validated]) -> BTreeMap<String, usize> {
    let mut reasons = BTreeMap::new();
    for of in validated {
        if let Err(reason) = &of.result {
            *reasons
                .entry(format!("{}: {reason}", of.row.source))
                .or_insert(0) += 1;
        }
    }
    reasons
}

/// The rows whose E2E, or else TPOT, is furthest off, the worst first.
#[must_use]
pub fn worst(validated: &[Validated], most: usize) -> Vec<(&Validated, f64)> {
    let mut rows: Vec<(&Validated, f64)> = validated
        .iter()
        .filter_map(|of| {
            let errors = &of.result.as_ref().ok()?.errors;
            Some((of, errors.e2e.or(errors.tpot)?))
        })
        .collect();
    rows.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    rows.truncate(most);
    rows
}

/// The tables on the terminal: absolute errors in per cent, mean (median; 90th percentile; bias).
#[must_use]
pub fn tables(validated: &[Validated]) -> String {
    const NAME: usize = 50;
    const CELL: usize = 28;
    let mut text = String::new();
    for grouping in Grouping::ALL {
        let _ = write!(
            text,
            "{}: error in %, mean (median; 90th percentile; bias)\n{:NAME$} {:>5}",
            grouping.title(),
            "",
            "rows"
        );
        for figure in Figure::ALL {
            let _ = write!(text, "{:>CELL$}", figure.name());
        }
        text.push('\n');
        for (name, rows) in grouping.groups(validated) {
            let _ = write!(text, "{name:NAME$} {:>5}", rows.len());
            for figure in Figure::ALL {
                let cell = ErrorSpread::of(rows.iter().copied(), figure)
                    .map_or_else(|| "-".to_owned(), |it| cell(&it));
                let _ = write!(text, "{cell:>CELL$}");
            }
            text.push('\n');
        }
        text.push('\n');
    }
    text += "Furthest off in E2E, or else in TPOT:\n";
    for (of, error) in worst(validated, 10) {
        let row = &of.row;
        let _ = writeln!(
            text,
            "{:+7.0} %  {}: {} on {} x {}, {}",
            error * 100.0,
            row.id,
            row.model,
            row.gpus.unwrap_or(1),
            row.gpu,
            row.engine
        );
    }
    let skipped = skipped(validated);
    if !skipped.is_empty() {
        text += "\nLeft out:\n";
        for (reason, count) in skipped {
            let _ = writeln!(text, "{count:7} rows of {reason}");
        }
    }
    text
}

fn cell(of: &ErrorSpread) -> String {
    let [mean, median, p90, bias] = [of.mean, of.median, of.p90, of.bias].map(|it| it * 100.0);
    format!("{mean:.1} ({median:.1}; {p90:.1}; {bias:+.1})")
}

/// The rows as `validation.csv`: one for each that was measured.
///
/// # Errors
/// As the writer has them.
pub fn write_csv(validated: &[Validated], to: impl std::io::Write) -> Result<(), csv::Error> {
    let mut writer = csv::Writer::from_writer(to);
    writer.write_record([
        "id",
        "source",
        "gpu",
        "model",
        "engine",
        "mode",
        "tpot_error",
        "itl_error",
        "ttft_error",
        "e2e_error",
        "throughput_error",
        "layer",
        "skipped",
    ])?;
    for of in validated {
        let row = &of.row;
        let (errors, layer, skipped) = match &of.result {
            Ok(it) => (it.errors, it.layer.as_str(), ""),
            Err(reason) => (Errors::default(), "", reason.as_str()),
        };
        let number = |it: Option<f64>| it.map_or_else(String::new, |it| format!("{it}"));
        writer.write_record([
            &row.id,
            &row.source,
            &row.gpu,
            &row.model,
            &row.engine,
            &row.mode,
            &number(errors.tpot),
            &number(errors.itl),
            &number(errors.ttft),
            &number(errors.e2e),
            &number(errors.throughput),
            layer,
            skipped,
        ])?;
    }
    writer.flush()?;
    Ok(())
}

/// The same tables in Markdown, for a page that says how far simulations are off.
#[must_use]
pub fn markdown(validated: &[Validated]) -> String {
    let mut text = String::new();
    for grouping in Grouping::ALL {
        let _ = writeln!(
            text,
            "### {}\n\nAbsolute error in %: mean (median; 90th percentile; bias).\n",
            grouping.title()
        );
        text += "| rows | |";
        for figure in Figure::ALL {
            let _ = write!(text, " {} |", figure.name());
        }
        text += "\n|---|---|";
        text += &"---|".repeat(Figure::ALL.len());
        text.push('\n');
        for (name, rows) in grouping.groups(validated) {
            let _ = write!(text, "| {name} | {} |", rows.len());
            for figure in Figure::ALL {
                let cell = ErrorSpread::of(rows.iter().copied(), figure)
                    .map_or_else(String::new, |it| self::cell(&it));
                let _ = write!(text, " {cell} |");
            }
            text.push('\n');
        }
        text.push('\n');
    }
    text += "### Left out\n\n| why | rows |\n|---|---|\n";
    for (reason, count) in skipped(validated) {
        let _ = writeln!(text, "| {reason} | {count} |");
    }
    text
}
