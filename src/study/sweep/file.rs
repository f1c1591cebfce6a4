//! What a sweep file holds, as it is written.

use std::borrow::Cow;
use std::path::PathBuf;

use ron::value::RawValue;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

/// A sweep: a base scenario and what is varied in it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepFile {
    /// The base scenario, relative to the sweep file. Required.
    pub scenario: PathBuf,
    /// What the sweep goes by. Default: the file's name without its extension.
    #[serde(default)]
    pub name: Option<String>,
    /// Values replaced in every run, each `PATH=VALUE` as after `--set`. Default none.
    #[serde(default)]
    pub set: Vec<String>,
    /// What is varied: every value of an axis is run with every value of the others, the last axis
    /// fastest. Required.
    pub axes: Vec<Axis>,
    /// The seed of `LatinHypercube`. Default 0.
    #[serde(default)]
    pub seed: u64,
}

/// What is varied.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Axis {
    /// One field takes one value after the other.
    Grid {
        /// The field, as before the `=` of `--set`.
        path: String,
        /// Its values, as they would stand in the scenario.
        values: Vec<Written>,
    },
    /// Several fields change together: the first value of each, then the second, and so on.
    Zip(Vec<Column>),
    /// Each run is repeated with this number of seeds: the scenario's, the next one, and so on.
    Seeds(#[schemars(range(min = 1))] u32),
    /// Points spread evenly over ranges at random: each of `n` slices of every range holds one of them.
    LatinHypercube {
        /// How many points.
        #[schemars(range(min = 1))]
        n: u32,
        /// The fields and their ranges.
        ranges: Vec<Range>,
    },
    /// Settings of any number of fields, one after the other.
    List(Vec<Setting>),
}

/// A field of `Zip` and its values.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The field.
    pub path: String,
    /// Its values.
    pub values: Vec<Written>,
}

/// A field of `LatinHypercube` and where its values lie.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The field.
    pub path: String,
    /// The least value.
    pub from: f64,
    /// The largest value.
    pub to: f64,
    /// Whether values are rounded to whole numbers. Default false.
    #[serde(default)]
    pub whole: bool,
    /// Whether values are spread evenly by their logarithm. Default false.
    #[serde(default)]
    pub log: bool,
}

/// A setting of `List`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// What it goes by. Default: its values.
    #[serde(default)]
    pub name: Option<String>,
    /// The values, each `PATH=VALUE`. Required.
    pub set: Vec<String>,
}

/// A value as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Written(Box<RawValue>);

impl Written {
    /// The text in the file.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.get_ron().trim()
    }
}

impl JsonSchema for Written {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Value".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        true.into()
    }
}
