//! Pages to look at: one file each, with interactive charts, that needs no network.
//!
//! A page holds its style, its data and plotly's script, and tells the browser to load nothing else. What
//! it shows of a run is gathered while the run goes on, in a bounded number of bins, so a report does
//! not grow with the run. The same run gives the same bytes.

mod application;
mod bins;
mod chart;
mod collect;
mod comparison;
mod definitions;
mod fleet;
mod histogram;
mod labels;
mod marks;
mod page;
mod run;
mod text;
mod validation;

pub use comparison::comparison_page;
pub use run::RunReport;
pub use validation::validation_page;
