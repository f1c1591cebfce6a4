//! A page: one file with its style, its script and its charts, which loads nothing from anywhere.

use serde::Serialize;

use super::chart::Chart;
use super::table::Table;
use super::text::{escape, in_address, in_script};

const STYLE: &str = include_str!("../../../assets/html/style.css");

/// The script, a file for each of its jobs, in the order in which they need each other.
const SCRIPT: [&str; 9] = [
    "\"use strict\";\n",
    include_str!("../../../assets/html/numbers.js"),
    include_str!("../../../assets/html/scale.js"),
    include_str!("../../../assets/html/svg.js"),
    include_str!("../../../assets/html/labels.js"),
    include_str!("../../../assets/html/tip.js"),
    include_str!("../../../assets/html/chart.js"),
    include_str!("../../../assets/html/table.js"),
    include_str!("../../../assets/html/page.js"),
];

/// The content policy of the page: the browser loads nothing from outside.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                      img-src data: blob:";

/// A page in the making.
#[derive(Debug)]
pub(super) struct Page {
    title: String,
    body: String,
    /// The charts so far, as the script reads them.
    charts: Vec<String>,
}

/// A figure that stands out.
#[derive(Clone, Debug)]
pub(super) struct Tile {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) note: String,
}

/// A chart with its place on the page.
#[derive(Serialize)]
struct Placed<'a> {
    id: &'a str,
    #[serde(flatten)]
    chart: &'a Chart,
}

impl Tile {
    pub(super) fn new(
        name: impl Into<String>,
        value: impl Into<String>,
        note: impl Into<String>,
    ) -> Self {
        let (name, value, note) = (name.into(), value.into(), note.into());
        Self { name, value, note }
    }
}

impl Page {
    /// Begins with a title and a line beneath it.
    pub(super) fn new(title: &str, subtitle: &str) -> Self {
        let body = format!(
            "<header><div><h1>{}</h1><p class=\"faint\">{}</p></div>\
             <button id=\"theme\" type=\"button\">Dark / light</button></header>\n",
            escape(title),
            escape(subtitle)
        );
        Self {
            title: title.to_owned(),
            body,
            charts: Vec::new(),
        }
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.body += &format!("<h2>{}</h2>\n", escape(text));
    }

    pub(super) fn paragraph(&mut self, class: &str, text: &str) {
        self.body += &format!("<p class=\"{class}\">{}</p>\n", escape(text));
    }

    /// What to type to get the same again.
    pub(super) fn command(&mut self, command: &str) {
        self.body += &format!(
            "<p class=\"faint\">Reproduce: <code>{}</code></p>\n",
            escape(command)
        );
    }

    pub(super) fn tiles(&mut self, tiles: &[Tile]) {
        self.body += "<div class=\"tiles\">\n";
        for Tile { name, value, note } in tiles {
            self.body += &format!(
                "<div class=\"tile\"><div class=\"name\">{}</div><div class=\"value\">{}</div>\
                 <div class=\"note\">{}</div></div>\n",
                escape(name),
                escape(value),
                escape(note)
            );
        }
        self.body += "</div>\n";
    }

    /// Charts two by two; the last of an odd number goes across the page. Those that have nothing to show
    /// are left out.
    pub(super) fn charts(&mut self, charts: impl IntoIterator<Item = Chart>) {
        let charts: Vec<_> = charts.into_iter().filter(|it| !it.is_empty()).collect();
        let last = charts.len();
        if last == 0 {
            return;
        }
        self.body += "<div class=\"charts\">\n";
        for (position, chart) in (1..).zip(&charts) {
            let wide = position == last && !last.is_multiple_of(2);
            self.chart(chart, if wide { " class=\"wide\"" } else { "" });
        }
        self.body += "</div>\n";
    }

    /// Small charts that are alike, as many beside each other as there is room for.
    pub(super) fn multiples(&mut self, charts: impl IntoIterator<Item = Chart>) {
        let mut charts = charts.into_iter().filter(|it| !it.is_empty()).peekable();
        if charts.peek().is_none() {
            return;
        }
        self.body += "<div class=\"multiples\">\n";
        charts.for_each(|chart| self.chart(&chart, ""));
        self.body += "</div>\n";
    }

    fn chart(&mut self, chart: &Chart, class: &str) {
        let id = format!("chart-{}", self.charts.len());
        let note = match chart.note.as_str() {
            "" => String::new(),
            note => format!("<p>{}</p>", escape(note)),
        };
        self.body += &format!(
            "<figure id=\"{id}\"{class}><figcaption><h3>{}</h3>{note}</figcaption>\
             <div class=\"plot\" style=\"height:{}px\"></div></figure>\n",
            escape(&chart.title),
            chart.height
        );
        let placed = Placed { id: &id, chart };
        let json = serde_json::to_string(&placed).expect("numbers and texts can always be written");
        self.charts.push(in_script(&json));
    }

    /// A table; nothing where it has no row.
    pub(super) fn table(&mut self, table: &Table) {
        self.body += &table.html();
    }

    /// Words and what they mean.
    pub(super) fn definitions(&mut self, terms: &[(&str, &str)]) {
        self.body += "<div class=\"sheet\"><dl>\n";
        for (term, meaning) in terms {
            self.body += &format!("<dt>{}</dt><dd>{}</dd>\n", escape(term), escape(meaning));
        }
        self.body += "</dl></div>\n";
    }

    /// Text to unfold.
    pub(super) fn listing(&mut self, title: &str, text: &str) {
        self.body += &format!(
            "<details class=\"sheet\"><summary>{}</summary><pre>{}</pre></details>\n",
            escape(title),
            escape(text)
        );
    }

    /// A text file to unfold and to save.
    pub(super) fn file(&mut self, title: &str, name: &str, text: &str) {
        self.body += &format!(
            "<details class=\"sheet\"><summary>{}</summary>\
             <p><a download=\"{}\" href=\"data:text/plain;charset=utf-8,{}\">Save as a file</a></p>\
             <pre>{}</pre></details>\n",
            escape(title),
            escape(name),
            in_address(text),
            escape(text)
        );
    }

    /// The whole file.
    pub(super) fn finish(self) -> String {
        let Self {
            title,
            body,
            charts,
        } = self;
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\
             <noscript><p class=\"warning\">The charts are drawn by the script in this file, and \
             scripts are switched off.</p></noscript>\n</main>\n\
             <script type=\"application/json\" id=\"charts\">[\n{}\n]</script>\n\
             <script>\n{}</script>\n</body>\n</html>\n",
            escape(&title),
            charts.join(",\n"),
            SCRIPT.join("\n")
        )
    }
}
