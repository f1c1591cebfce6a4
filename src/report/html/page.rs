//! A page: one file with its style, its script and its charts, which loads nothing from anywhere.

use plotly::Plot;

use super::chart::Chart;
use super::text::{escape, in_script};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("page.js");

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
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) note: String,
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) text: String,
    /// No other in its column beats it.
    pub(super) best: bool,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        let best = false;
        Self { text, best }
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

    /// Charts side by side or, with one of them, across the page.
    pub(super) fn charts(&mut self, charts: Vec<Chart>) {
        let class = if charts.len() == 1 {
            " class=\"wide\""
        } else {
            ""
        };
        self.body += "<div class=\"charts\">\n";
        for chart in charts {
            let id = format!("chart-{}", self.charts.len());
            self.body += &format!(
                "<figure{class}><figcaption><h3>{}</h3><p>{}</p></figcaption>\
                 <div id=\"{id}\" style=\"height:{}px\"></div></figure>\n",
                escape(&chart.title),
                escape(&chart.note),
                chart.height
            );
            self.charts.push(format!(
                "{{\"id\":\"{id}\",\"over_time\":{},{}",
                chart.over_time,
                members(&chart.plot)
            ));
        }
        self.body += "</div>\n";
    }

    /// A table; its first column is of text.
    pub(super) fn table<C: Clone + Into<Cell>>(
        &mut self,
        title: &str,
        header: &[&str],
        rows: &[Vec<C>],
    ) {
        let class = match header.len() {
            ..4 => "sheet narrow",
            4..13 => "sheet",
            13.. => "sheet dense",
        };
        self.body += &format!(
            "<div class=\"{class}\"><h3>{}</h3><table>\n<tr>",
            escape(title)
        );
        for name in header {
            self.body += &format!("<th>{}</th>", escape(name));
        }
        self.body += "</tr>\n";
        for row in rows {
            self.body += "<tr>";
            for cell in row {
                let Cell { text, best } = cell.clone().into();
                let class = if best { " class=\"best\"" } else { "" };
                self.body += &format!("<td{class}>{}</td>", escape(&text));
            }
            self.body += "</tr>\n";
        }
        self.body += "</table></div>\n";
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
             scripts are switched off.</p></noscript>\n</main>\n{}\n\
             <script type=\"application/json\" id=\"charts\">[\n{}\n]</script>\n\
             <script>\n{SCRIPT}</script>\n</body>\n</html>\n",
            escape(&title),
            plotting_script(),
            charts.join(",\n")
        )
    }
}

/// Plotly's own script in its tags, without the one for formulas that comes after it.
fn plotting_script() -> String {
    let mut scripts = Plot::offline_js_sources();
    if let Some(first) = scripts.split_inclusive("</script>").next() {
        scripts.truncate(first.len());
    }
    scripts
}

/// The traces and the layout of a plot, as members of a JSON object and its closing brace.
fn members(plot: &Plot) -> String {
    let json = in_script(&plot.to_json());
    json.strip_prefix('{').unwrap_or(&json).to_owned()
}
