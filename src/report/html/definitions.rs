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
    (
        "Cost",
        "Server-hours × the price an hour: of the purchase option, where there are any, else of the catalog. What is \
         reserved counts from the start to the end, and a minimum or a step of billing in full.",
    ),
    (
        "Energy",
        "Idle power of servers and processors, and what iterations draw beyond it.",
    ),
];

const OF_A_RUN: [Term; 7] = [
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
        "Requests within every limit given ÷ (completed + rejected + failed).",
    ),
    (
        "A batch runs",
        "Time in which a batch ran ÷ time of the instances, however full the batch.",
    ),
    (
        "Capacity",
        "Requests of the usual lengths that the active instances serve at full use, with mean latencies within the SLO.",
    ),
    (
        "Percentiles in charts",
        "Within 0.8 %; those in tables and in summary.json are those of docs/METRICS.md.",
    ),
];

const OF_A_COMPARISON: [Term; 6] = [
    (
        "SLO met",
        "Requests within every limit given ÷ requests that arrived: one that is not over at the end has missed it.",
    ),
    (
        "Goodput",
        "Requests within every limit given, a second of the run.",
    ),
    (
        "Instances needed",
        "Those that the arrivals take, each used to the full within the SLO, by the model of capacity.",
    ),
    (
        "Short of instances",
        "Share of the time in which fewer were active than the arrivals of that minute take.",
    ),
    (
        "Actions",
        "Instances that were started, given up and drained.",
    ),
    (
        "Turns an hour",
        "How often a role that grew shrinks next, or the other way round, an hour.",
    ),
];

const REGRET: [Term; 1] = [(
    "Regret",
    "Cost, and requests that missed the SLO, beyond those of Clairvoyant, which knows the workload.",
)];

pub(super) fn of_a_run(page: &mut Page) {
    section(page, &[&LATENCIES[..], &OF_A_RUN, &COSTS].concat());
}

pub(super) fn of_a_comparison(page: &mut Page, with_regret: bool) {
    let regret: &[Term] = if with_regret { &REGRET } else { &[] };
    let terms = [&LATENCIES[..], &OF_A_COMPARISON, regret, &COSTS];
    section(page, &terms.concat());
}

fn section(page: &mut Page, terms: &[Term]) {
    page.heading("What the figures mean");
    page.paragraph(
        "faint",
        "In short; docs/METRICS.md, which comes with fleetsim, has every formula and how other tools define it.",
    );
    page.definitions(terms);
}
