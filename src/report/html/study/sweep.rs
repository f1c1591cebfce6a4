use super::super::numbers::counted;
use super::super::page::{Page, Tile};
use super::settings::{Row, basis, told};
use super::{effects, parallel, settings};
use crate::study::Measure;
use crate::study::sweep::{SettingFigures, SweepResult};

/// Scenarios of settings that the page has as files.
const FILES: usize = 8;

/// sweep.html: each axis against cost and SLO, the frontier, and the settings on it as scenario files. The
/// same bytes for the same runs.
#[must_use]
pub fn sweep_page(result: &SweepResult) -> String {
    let heading = &result.heading;
    let settings = result.settings();
    let columns: Vec<String> = heading
        .columns
        .iter()
        .filter(|it| *it != "seed")
        .cloned()
        .collect();
    let rows: Vec<Row<'_>> = settings.iter().map(|it| row(it, &columns)).collect();
    let subtitle = format!(
        "{} · hash {} · fleetsim {}",
        counted(heading.runs as u64, "run", "runs"),
        heading.hash,
        env!("CARGO_PKG_VERSION")
    );
    let mut page = Page::new(&heading.sweep, &subtitle);
    let missing = result.missing().len();
    if missing > 0 {
        page.paragraph("warning", &format!("Partial: {missing} runs are missing."));
    }
    for (done, error) in result.failed().take(5) {
        page.paragraph("warning", &format!("Run {} failed: {error}", done.run));
    }
    page.tiles(&tiles(&rows));
    page.heading("What each setting costs, and what users get for it");
    page.charts([settings::frontier(&rows)]);
    page.table(&settings::table(&rows, &columns));
    page.heading("Each axis by itself");
    page.charts(effects::charts(&rows, &columns));
    page.table(&effects::table(&rows, &columns));
    page.charts(parallel::chart(&rows, &columns));
    let best = settings.iter().zip(&rows).filter(|(_, row)| row.frontier);
    for (number, (setting, row)) in best.enumerate().take(FILES) {
        if let Some(text) = result.scenario(setting) {
            let name = format!("{}-{}.ron", heading.sweep, number + 1);
            page.file(&format!("Scenario of {}", row.name), &name, &text);
        }
    }
    page.finish()
}

fn row<'a>(setting: &'a SettingFigures, columns: &[String]) -> Row<'a> {
    let cells: Vec<String> = columns
        .iter()
        .map(|it| setting.setting[it].clone())
        .collect();
    Row {
        name: cells.join(", "),
        cells,
        seeds: setting.runs,
        figures: &setting.figures,
        frontier: setting.frontier == Some(true),
        answer: false,
    }
}

/// The answers first: the cheapest setting that keeps 99 % of the promises, and the best there is.
fn tiles(rows: &[Row<'_>]) -> Vec<Tile> {
    let cost = basis(rows);
    let met = |row: &&Row<'_>| row.mean(Measure::Attainment).is_some_and(|it| it >= 0.99);
    let by = |measure: Measure| move |row: &&Row<'_>| row.mean(measure).unwrap_or(f64::INFINITY);
    let cheapest = rows.iter().filter(met);
    let cheapest = cheapest.min_by(|one, other| by(cost)(one).total_cmp(&by(cost)(other)));
    let most = rows
        .iter()
        .filter(|it| it.mean(Measure::Attainment).is_some());
    let most = most.max_by(|one, other| {
        by(Measure::Attainment)(one).total_cmp(&by(Measure::Attainment)(other))
    });
    let tile = |name: &str, row: Option<&Row<'_>>, measure: Measure| {
        let row = row?;
        Some(Tile::new(
            name,
            told(measure, row.mean(measure)?),
            row.name.as_str(),
        ))
    };
    let tiles = [
        tile("cheapest with 99 % of the SLO met", cheapest, cost),
        tile("most of the SLO met", most, Measure::Attainment),
    ];
    tiles.into_iter().flatten().collect()
}
