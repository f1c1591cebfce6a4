use super::super::numbers::{counted, number};
use super::super::page::{Page, Tile};
use super::settings::{self, Row, basis, told};
use crate::study::Measure;
use crate::study::search::{Candidate, Found};

/// search.html: the answer, how sure it is and what binds it, and every setting that was tried. `command`
/// is what to type to make it again.
#[must_use]
pub fn search_page(found: &Found, command: &str) -> String {
    let subtitle = format!(
        "{} · hash {} · fleetsim {}",
        counted(found.runs as u64, "run", "runs"),
        found.hash,
        found.fleetsim_version
    );
    let mut page = Page::new(&found.search, &subtitle);
    page.command(command);
    if let Some(ended) = &found.ended {
        page.paragraph("warning", &format!("Not through: {ended}."));
    }
    if found.monotone == Some(false) {
        let warning = "Not monotone: a larger number misses a limit that a smaller one meets.";
        page.paragraph("warning", warning);
    }
    let rows: Vec<Row<'_>> = found
        .tried
        .iter()
        .map(|it| row(it, found.answer.as_ref()))
        .collect();
    match &found.answer {
        Some(answer) => {
            page.tiles(&tiles(found, answer, basis(&rows)));
            for verdict in &answer.limits {
                if let Some(figure) = &verdict.figure {
                    let half_width = figure.half_width.unwrap_or_default();
                    let text = format!(
                        "{}: {} ± {}",
                        verdict.limit,
                        number(figure.mean),
                        number(half_width)
                    );
                    page.paragraph("faint", &text);
                }
            }
        }
        None => page.paragraph("warning", "No setting that was tried meets the limits."),
    }
    page.heading("What was tried");
    page.charts([settings::frontier(&rows)]);
    page.table(&settings::table(&rows, &["setting".to_owned()]));
    page.finish()
}

fn tiles(found: &Found, answer: &Candidate, cost: Measure) -> Vec<Tile> {
    let sure = match found.sure {
        true => "95 % intervals settle it",
        false => "a 95 % interval leaves a limit open",
    };
    let mut tiles = vec![Tile::new("answer", answer.set.join(" "), sure)];
    if let Some(interval) = answer.figures.get(cost.name()) {
        tiles.push(Tile::new(
            settings::title(cost),
            told(cost, interval.mean),
            "of a run",
        ));
    }
    if !found.binding.is_empty() {
        tiles.push(Tile::new("what binds", found.binding.join(", "), ""));
    }
    tiles
}

fn row<'a>(candidate: &'a Candidate, answer: Option<&Candidate>) -> Row<'a> {
    let name = candidate.set.join(" ");
    Row {
        cells: vec![name.clone()],
        name,
        seeds: candidate.runs,
        figures: &candidate.figures,
        frontier: candidate.frontier == Some(true),
        answer: answer.is_some_and(|it| it.set == candidate.set),
    }
}
