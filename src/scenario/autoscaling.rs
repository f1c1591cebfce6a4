//! What a scenario says about what a policy sees and how its wishes are carried out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Role;
use crate::time::SimDuration;

/// How old what a policy sees is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Signals {
    /// Seconds between two looks at the application, 0.001 or more. Default 0: one for each decision.
    pub scrape_interval: SimDuration,
    /// Seconds until the policy learns of what was seen. Default 0: at once, so that a policy is
    /// first judged by its rule and not by its monitoring.
    pub scrape_delay: SimDuration,
}

/// How what a policy wants is carried out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Actuator {
    /// How few and how many `Prompt` instances there may be.
    pub prompt: Limits,
    /// How few and how many `Token` instances there may be.
    pub token: Limits,
    /// How few and how many `Mixed` instances there may be.
    pub mixed: Limits,
    /// Seconds from one addition to a role to the next. Default 0: most policies have a cool-down
    /// of their own, and waiting twice would hide it.
    pub up_cooldown: SimDuration,
    /// Seconds from a change of a role, up or down, to the next removal from it; a start-up given up is
    /// a removal, what scripts and crashes change does not count. Default 0, for the same reason.
    pub down_cooldown: SimDuration,
    /// The most instances of a role that one decision may add. Default: any number, the policy's
    /// own arithmetic stands.
    pub max_up: Option<u32>,
    /// The most instances of a role that one decision may take away. Default: any number.
    pub max_down: Option<u32>,
    /// Which active instance goes first. Default `LeastLoaded`: it is gone soonest.
    pub victim: Victim,
    /// Which SKU new servers are of, where no server has enough free processors. Default `First`: what
    /// the scaling verbs take, too.
    pub sku: SkuChoice,
    /// Which server a new instance goes to, of those with enough free processors. Default `FirstFit`.
    pub placement: PlacementRule,
}

impl Actuator {
    /// The limits of a role.
    #[must_use]
    pub const fn limits(&self, role: Role) -> Limits {
        match role {
            Role::Prompt => self.prompt,
            Role::Token => self.token,
            Role::Mixed => self.mixed,
        }
    }
}

/// How few and how many instances of a role there are to be: those that start up or are active. Where
/// there are fewer, as after a crash, the next decision of any policy restores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Minimum number of instances. Default 1: with 0, requests wait for a whole start-up after each pause. A role
    /// that is only kept in reserve needs 0.
    pub min: u32,
    /// Maximum number of instances. Default: no limit but that of the SKUs.
    pub max: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { min: 1, max: None }
    }
}

/// Which server a new instance goes to, of those of the best SKU that have enough free processors. Servers that are
/// there come before those being provisioned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PlacementRule {
    /// The one with the lowest number.
    #[default]
    FirstFit,
    /// The one with the fewest free processors: few servers are in use.
    Pack,
    /// The one with the most free processors: instances are spread over many servers.
    Spread,
    /// The one with the lowest number that carries no instance of another application. Instances of other applications
    /// never come to one that carries instances of this.
    Dedicated,
}

/// Which active instance is drained first; equals, the newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Victim {
    /// The one with the fewest pending tokens; of `Token` instances, with the least memory in use.
    #[default]
    LeastLoaded,
    /// The one created last.
    Newest,
    /// The one whose share of its server's price is highest; equals, the least loaded. A reserved server is paid
    /// for in any case and counts as free. Every SKU of the fleet needs a price.
    Costliest,
}

/// Which SKU a new server is of: the best of those that can carry the instance and are not at their
/// limit.
///
/// Prices are those of the purchase option by which the next server would be bought; one that is reserved costs nothing
/// more. Before there is a new server, the free processors of servers that are there are used, then those of
/// servers being provisioned, in the same order of SKUs; where a SKU is named, of that one alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum SkuChoice {
    /// The first in the order of the fleet.
    #[default]
    First,
    /// The lowest price per hour; equals, the first. Every SKU of the fleet needs a price.
    Cheapest,
    /// The shortest iteration of a prompt of 1,024 tokens, of 32 token tasks or, for `Mixed`
    /// instances, of both together; equals, the first.
    Fastest,
    /// The most requests a second for the price or, where a SKU of the fleet has none, for the power
    /// drawn meanwhile: requests of 1,024 prompt and 128 output tokens, flat out, on a server that is
    /// full of such instances; equals, the first.
    MostEfficient,
    /// This one, always.
    Named(String),
    /// The first of these that can be had now: not at its limit, not sold out, not kept from being created by a
    /// fault. The first of all where none can.
    FallBack(Vec<String>),
    /// Of those that can be had now and on which instances keep the `slo` of the application: the lowest price of what
    /// an instance can carry within it; equals, the first. Where none does, the fastest of those that can be had, and
    /// `decisions.csv` says so. Predicted from step times: mean TTFT and mean TBT, as policies reckon with. Every SKU of
    /// the fleet needs a price.
    CheapestThatMeets {
        /// The load at which instances keep it, as a share of what they can carry flat out, more than 0, at most 1.
        /// Default 0.5.
        #[serde(default = "half")]
        #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
        load: f64,
        /// Tokens of the prompts. Default 1024: by which other choices compare, too.
        #[serde(default = "usual_prompt")]
        #[schemars(range(min = 1))]
        prompt_tokens: u32,
        /// Tokens of the outputs. Default 128.
        #[serde(default = "usual_output")]
        #[schemars(range(min = 1))]
        output_tokens: u32,
    },
}

const fn half() -> f64 {
    0.5
}

const fn usual_prompt() -> u32 {
    1024
}

const fn usual_output() -> u32 {
    128
}
