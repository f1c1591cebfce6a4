//! comparison.html: one scenario under many policies.

mod focus;
mod multiples;
mod scatter;
mod seeds;
mod table;

use std::collections::BTreeMap;

use super::definitions;
use super::page::Page;
use crate::study::Comparison;

/// The page of a comparison: the same bytes for the same comparison. `command` is what to type to make
/// it again; `reports` has the report of each contender's run that is kept, by its policy, relative to the
/// page.
#[must_use]
pub fn comparison_page(
    comparison: &Comparison,
    command: &str,
    reports: &BTreeMap<String, String>,
) -> String {
    let subtitle = format!(
        "{} under each policy · seed {} · hash {} · fleetsim {}",
        comparison.applications.join(", "),
        comparison.seed,
        comparison.hash,
        comparison.fleetsim_version
    );
    let mut page = Page::new(&comparison.scenario, &subtitle);
    page.command(command);
    if comparison.partial {
        let missing = comparison.missing.join(", ");
        let warning = format!("Partial: it was interrupted. Missing: {missing}.");
        page.paragraph("warning", &warning);
    }
    for (policy, error) in comparison.failed() {
        page.paragraph("warning", &format!("{policy} failed: {error}"));
    }
    if let Some(replicated) = &comparison.replicated {
        let seeds = replicated.seeds.len();
        let text = format!(
            "Over {seeds} seeds: see “How sure”. Everything else is of the first, {}.",
            comparison.seed
        );
        page.paragraph("faint", &text);
    }
    if let Some(basis) = comparison.basis {
        page.heading("What each costs, and what users get for it");
        page.charts(scatter::attained(comparison, basis));
        page.charts(scatter::latencies(comparison, basis));
        page.table(&table::contenders(comparison, basis, reports));
        if let Some(replicated) = &comparison.replicated {
            seeds::section(&mut page, replicated, &comparison.contenders);
        }
        multiples::section(&mut page, comparison, basis);
    }
    page.table(&table::skipped(comparison));
    let mut contenders = comparison.contenders.iter();
    definitions::of_a_comparison(&mut page, contenders.any(|it| it.regret.is_some()));
    page.finish()
}
