//! What a run leaves behind: samples, logs and statistics.

mod sample;

pub use sample::Sample;
