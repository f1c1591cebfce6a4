//! Pages to look at: one file each, with interactive charts, that needs no network.
//!
//! A page holds its style, its data and its script (`assets/html`), and tells the browser to load nothing
//! else. What it shows of a run is gathered while the run goes on, in a bounded number of bins, so a report
//! does not grow with the run. The same run gives the same bytes.
//!
//! Rust says what a chart shows ([`chart`]); the script draws it. [`colour`] and `style.css` have the colours,
//! [`numbers`] and `numbers.js` the formats of figures.

mod chart;
mod colour;
mod comparison;
mod definitions;
mod numbers;
mod page;
mod run;
mod study;
mod table;
mod text;
mod validation;

pub use comparison::comparison_page;
pub use run::RunReport;
pub use study::{saturation_page, search_page, sweep_page};
pub use validation::validation_page;
