//! Contenders over several seeds, with intervals.

use crate::report::html::chart::{Axis, Chart, Shape};
use crate::report::html::colour::Colour;
use crate::report::html::numbers::or_none;
use crate::report::html::page::Page;
use crate::report::html::study::{format, scaled, title, whisker, with_interval};
use crate::report::html::table::{Cell, Column, Table};
use crate::study::{Interval, Measure, Replicated, ReplicatedStanding, Standing};

const MEASURES: [Measure; 6] = [
    Measure::Attainment,
    Measure::TtftP50,
    Measure::TtftP99,
    Measure::TbtP99,
    Measure::Cost,
    Measure::GpuHours,
];

/// The section: a chart with intervals, and a table that says what can be told from the reference.
pub(super) fn section(page: &mut Page, replicated: &Replicated, standings: &[Standing]) {
    let label = |policy: &str| {
        let standing = standings.iter().find(|it| it.policy == policy);
        standing.map_or_else(|| policy.to_owned(), |it| it.label.clone())
    };
    page.heading(&format!("How sure: {} seeds", replicated.seeds.len()));
    page.charts(chart(replicated, &label));
    page.table(&table(replicated, &label));
}

fn has(replicated: &Replicated, measure: Measure) -> bool {
    let mut contenders = replicated.contenders.iter();
    contenders.any(|it| it.figures.contains_key(measure.name()))
}

fn cost(replicated: &Replicated) -> Measure {
    match has(replicated, Measure::Cost) {
        true => Measure::Cost,
        false => Measure::GpuHours,
    }
}

fn chart(replicated: &Replicated, label: &dyn Fn(&str) -> String) -> Option<Chart> {
    let measures = [cost(replicated), Measure::Attainment];
    let [x, y] = measures.map(|it| Axis::new(format(it)).title(title(it)));
    let note = "Each point is a contender, the mean over the seeds, with its 95 % intervals.";
    let mut chart = Chart::new("Cost against SLO attainment, over all seeds", note, x, y)
        .height(360)
        .with_names();
    let placed = replicated.contenders.iter().filter_map(|it| {
        let [x, y] = measures.map(|measure| it.figures.get(measure.name()));
        Some((it, x?, y?))
    });
    let placed: Vec<(&ReplicatedStanding, &Interval, &Interval)> = placed.collect();
    let scaled = |measure: usize, value: f64| scaled(measures[measure], value);
    let whiskers = placed
        .iter()
        .map(|(_, x, y)| whisker((measures[0], *x), (measures[1], *y)));
    chart.add("interval", Colour::Other, Shape::whiskers(whiskers));
    let told = |(of, x, y): &(&ReplicatedStanding, &Interval, &Interval)| {
        let [x, y] = [(measures[0], x), (measures[1], y)].map(|(it, of)| with_interval(it, of));
        format!("{}\n{y}, {x}", label(&of.policy))
    };
    let points = Shape::Points {
        x: placed.iter().map(|(_, x, _)| scaled(0, x.mean)).collect(),
        y: placed.iter().map(|(.., y)| scaled(1, y.mean)).collect(),
        names: placed.iter().map(|(of, ..)| label(&of.policy)).collect(),
        texts: placed.iter().map(told).collect(),
        size: 5,
        joined: false,
        hollow: false,
    };
    chart.add("contender", Colour::Frontier, points);
    Some(chart).filter(|it| !it.is_empty())
}

fn table(replicated: &Replicated, label: &dyn Fn(&str) -> String) -> Table {
    let priced = has(replicated, Measure::Cost);
    let shown = |it: &Measure| has(replicated, *it) && !(priced && *it == Measure::GpuHours);
    let measures: Vec<Measure> = MEASURES.into_iter().filter(shown).collect();
    let columns = measures.iter().map(|it| Column::figures(title(*it)));
    let columns = [Column::text("contender")].into_iter().chain(columns);
    let reference = label(&replicated.reference);
    let note = format!(
        "Means over the seeds; ± is half the width of the 95 % interval. A figure marked = cannot be told from \
         that of {reference}: the interval of their difference, seed by seed, contains 0."
    );
    let mut table = Table::new("Figures over all seeds", columns)
        .note(note)
        .sortable();
    for of in &replicated.contenders {
        let figures = measures.iter().map(|measure| {
            let interval = of.figures.get(measure.name());
            let same = of.differences.get(measure.name());
            let same = same.is_some_and(Interval::contains_zero);
            let text = interval.map(|it| with_interval(*measure, it));
            let text = text.map(|it| if same { it + " =" } else { it });
            Cell::figure(or_none(text), interval.map(|it| it.mean))
        });
        let name = Cell::text(label(&of.policy)).title(&of.policy);
        table.row([name].into_iter().chain(figures));
    }
    table
}
