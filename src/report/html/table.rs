//! Tables of a page.

use super::text::escape;

/// A table, in a card of its own.
#[derive(Debug)]
pub(super) struct Table {
    title: String,
    /// What one needs to know to read it.
    note: String,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    sortable: bool,
    /// What the field for a search asks for, where it has one.
    search: Option<&'static str>,
}

/// A column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    name: String,
    kind: ColumnKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColumnKind {
    Figures,
    Text,
    /// Sentences, which take several lines.
    Prose,
}

/// A cell.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    text: String,
    /// What the column is sorted by; none of a cell of text.
    value: Option<Option<f64>>,
    /// No other in its column beats it.
    best: bool,
    /// A file that it leads to, relative to the page.
    link: Option<String>,
    /// What is said of it at the pointer.
    title: Option<String>,
}

impl Table {
    pub(super) fn new(title: impl Into<String>, columns: impl IntoIterator<Item = Column>) -> Self {
        Self {
            title: title.into(),
            note: String::new(),
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
            sortable: false,
            search: None,
        }
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Its rows are sorted by a click on a heading.
    pub(super) const fn sortable(mut self) -> Self {
        self.sortable = true;
        self
    }

    /// Its rows are searched, and scroll within the card.
    pub(super) const fn searchable(mut self, prompt: &'static str) -> Self {
        self.search = Some(prompt);
        self
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The card; nothing where there is no row.
    pub(super) fn html(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let searchable = if self.search.is_some() {
            " searchable"
        } else {
            ""
        };
        let mut text = format!(
            "<section class=\"sheet{searchable}\"><div class=\"sheet-head\"><h3>{}</h3>",
            escape(&self.title)
        );
        if let Some(prompt) = self.search {
            text += &format!(
                "<span class=\"faint found\" role=\"status\"></span>\
                 <input type=\"search\" placeholder=\"{0}\" aria-label=\"{0}\">",
                escape(prompt)
            );
        }
        text += "</div>\n";
        if !self.note.is_empty() {
            text += &format!("<p class=\"faint\">{}</p>\n", escape(&self.note));
        }
        let tall = if self.search.is_some() { " tall" } else { "" };
        let sortable = if self.sortable { "sortable" } else { "" };
        let compact = if self.columns.len() < 4 {
            "compact"
        } else {
            ""
        };
        text += &format!(
            "<div class=\"scroll{tall}\"><table class=\"{}\"><thead><tr>",
            [sortable, compact].join(" ").trim()
        );
        for column in &self.columns {
            text += &format!("<th{}>{}</th>", column.class(), escape(&column.name));
        }
        text += "</tr></thead><tbody>\n";
        for row in &self.rows {
            text += "<tr>";
            for (cell, column) in row.iter().zip(&self.columns) {
                text += &cell.html(column);
            }
            text += "</tr>\n";
        }
        text + "</tbody></table></div></section>\n"
    }
}

impl Column {
    pub(super) fn figures(name: impl Into<String>) -> Self {
        let (name, kind) = (name.into(), ColumnKind::Figures);
        Self { name, kind }
    }

    pub(super) fn text(name: impl Into<String>) -> Self {
        let (name, kind) = (name.into(), ColumnKind::Text);
        Self { name, kind }
    }

    pub(super) fn prose(name: impl Into<String>) -> Self {
        let (name, kind) = (name.into(), ColumnKind::Prose);
        Self { name, kind }
    }

    const fn class(&self) -> &'static str {
        match self.kind {
            ColumnKind::Figures => "",
            ColumnKind::Text => " class=\"text\"",
            ColumnKind::Prose => " class=\"text long\"",
        }
    }
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            text,
            ..Self::default()
        }
    }

    /// A figure as it reads, sorted by its value; one without a value comes last.
    pub(super) fn figure(text: impl Into<String>, value: Option<f64>) -> Self {
        Self {
            text: text.into(),
            value: Some(value),
            ..Self::default()
        }
    }

    pub(super) const fn best(mut self, best: bool) -> Self {
        self.best = best;
        self
    }

    /// It leads to a file.
    pub(super) fn link(mut self, to: Option<String>) -> Self {
        self.link = to;
        self
    }

    pub(super) fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    fn html(&self, column: &Column) -> String {
        let mut attributes = match (self.best, column.kind) {
            (true, ColumnKind::Figures) => " class=\"best\"".to_owned(),
            _ => column.class().to_owned(),
        };
        if let Some(value) = self.value {
            let value = value.map_or_else(String::new, |value| value.to_string());
            attributes += &format!(" data-value=\"{value}\"");
        }
        if let Some(title) = &self.title {
            attributes += &format!(" title=\"{}\"", escape(title));
        }
        let text = escape(&self.text);
        match &self.link {
            Some(to) => format!("<td{attributes}><a href=\"{}\">{text}</a></td>", escape(to)),
            None => format!("<td{attributes}>{text}</td>"),
        }
    }
}
