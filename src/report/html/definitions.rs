//! What the figures mean, in short.

use super::page::Page;

const TERMS: [(&str, &str); 10] = [
    (
        "TTFT",
        "Time to first token: from arrival to the end of the iteration with the prompt.",
    ),
    (
        "TBT",
        "Time between tokens: (end − first token) ÷ output tokens.",
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
        "GPU-hours",
        "Hours of the servers' processors, used or not, from the call for a server until it is gone.",
    ),
    ("Cost", "Server-hours × the catalog's price an hour."),
    (
        "Energy",
        "Idle power of servers and processors, and what iterations draw beyond it.",
    ),
    (
        "Percentiles in charts",
        "Within 0.8 %; those in tables and in summary.json are those of docs/METRICS.md.",
    ),
];

pub(super) fn section(page: &mut Page) {
    page.heading("What the figures mean");
    page.paragraph(
        "faint",
        "In short; docs/METRICS.md, which comes with fleetsim, has every formula and how other tools define it.",
    );
    page.definitions(&TERMS);
}
