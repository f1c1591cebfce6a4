//! Pages of studies: sweeps, saturation, searches.

mod effects;
mod parallel;
mod saturation;
mod search;
mod settings;
mod sweep;

pub use saturation::saturation_page;
pub use search::search_page;
pub(super) use settings::{format, scaled, title, whisker, with_interval};
pub use sweep::sweep_page;
