/// What is expected of the next interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prediction {
    /// Requests a second.
    pub requests_per_s: f64,
    /// Mean tokens of a prompt.
    pub prompt_tokens: f64,
    /// Mean tokens of an output.
    pub output_tokens: f64,
    /// The share of the prompt tokens that is found in the prefix cache, if any is looked for.
    pub hit_rate: Option<f64>,
}
