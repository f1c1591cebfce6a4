//! What the figures mean, in short.

use super::page::Page;

type Term = (&'static str, &'static str);

const LATENCIES: [Term; 2] = [
    (
        "TTFT",
        "Time to first token: from arrival to the end of the iteration with the prompt.",
    ),
    (
        "TBT",
        "Time between tokens: (end − first token) ÷ output tokens.",
    ),
];

const COSTS: [Term; 3] = [
    (
        "GPU-hours",
        "Hours of the servers' processors, used or not, from the call for a server until it is gone.",
    ),
    ("Cost", "Server-hours × the catalog's price an hour."),
    (
        "Energy",
        "Idle power of servers and processors, and what iterations draw beyond it.",
    ),
];

const OF_A_RUN: [Term; 6] = [
    (
        "ITL",
        "Inter-token latency: each time between two tokens of a request, of engines Vllm.",
    ),
    ("E2E", "From arrival to the last token."),
    (
        "Queue",
        "From arrival to the first iteration with the prompt.",
    ),
    (
        "SLO attainment",
        "Requests within every limit given ÷ (completed + rejected).",
    ),
    (
        "Utilisation",
        "Time in which a batch ran ÷ time of the instances, however full the batch.",
    ),
    (
        "Percentiles in charts",
        "Within 0.8 %; those in tables and in summary.json are those of docs/METRICS.md.",
    ),
];

const OF_A_COMPARISON: [Term; 6] = [
    (
        "met %",
        "Requests within every limit given ÷ requests that arrived: one that is not over at the end has missed it.",
    ),
    (
        "goodput",
        "Requests within every limit given, a second of the run.",
    ),
    (
        "short %",
        "Time in which fewer instances were active than the arrivals of that minute take at full use.",
    ),
    (
        "actions",
        "Instances that were started, given up and drained.",
    ),
    (
        "turns /h",
        "How often a role that grew shrinks next, or the other way round, an hour.",
    ),
    (
        "regret, misses",
        "Cost, and requests that missed the SLO, beyond those of Clairvoyant, which knows the workload.",
    ),
];

pub(super) fn of_a_run(page: &mut Page) {
    section(page, &[&LATENCIES[..], &OF_A_RUN, &COSTS].concat());
}

pub(super) fn of_a_comparison(page: &mut Page) {
    section(page, &[&LATENCIES[..], &OF_A_COMPARISON, &COSTS].concat());
}

fn section(page: &mut Page, terms: &[Term]) {
    page.heading("What the figures mean");
    page.paragraph(
        "faint",
        "In short; docs/METRICS.md, which comes with fleetsim, has every formula and how other tools define it.",
    );
    page.definitions(terms);
}
