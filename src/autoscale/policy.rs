use std::borrow::Cow;
use std::collections::BTreeMap;

use bevy_ecs::component::{Component, Mutable};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Signals;
use super::policies::Metric;
use crate::scenario::{CheckedScenario, Diagnostics};
use crate::serving::Role;
use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};
use crate::time::SimDuration;
use crate::warning::Warning;

/// A rule that says, every so often, how many instances of each role an application should have.
///
/// A policy is a component of its application. Its fields are its parameters, as in the scenario's
/// `autoscaler: Name(field: value)`; what it remembers from one decision to the next are further
/// fields with `#[serde(skip)]`, or with `#[serde(with = "fleetsim::snapshot::remembered")]` and
/// `#[schemars(skip)]` where snapshots have them. `#[serde(default, deny_unknown_fields)]` on the struct lets a
/// scenario leave parameters out and reports misspelt ones. The name of the struct must be
/// [`Self::NAME`].
///
/// The built-in policies use this trait and nothing else. Register one of your own with a
/// [`PolicyRegistry`](super::PolicyRegistry).
///
/// ```
/// use bevy_ecs::component::Component;
/// use fleetsim::autoscale::{DesiredInstances, Policy, PolicyRegistry, Signals};
/// use fleetsim::snapshot::{RestoreError, SaveError, StateReader, StateWriter, remembered};
/// use fleetsim::time::SimDuration;
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// /// One instance more at each decision, up to `most`.
/// #[derive(Component, Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
/// #[serde(default, deny_unknown_fields)]
/// struct Growing {
///     most: u32,
///     /// How often it has decided.
///     #[serde(with = "remembered")]
///     #[schemars(skip)]
///     decisions: u32,
/// }
///
/// impl Policy for Growing {
///     const NAME: &'static str = "Growing";
///     const SUMMARY: &'static str = "one instance more at each decision";
///
///     fn interval(&self) -> SimDuration {
///         SimDuration::saturating(30.0)
///     }
///
///     fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
///         self.decisions += 1;
///         for role in signals.roles() {
///             desired.exactly(role.role, self.decisions.min(self.most), "as time goes by");
///         }
///     }
///
///     fn save(&self, to: &mut StateWriter) -> Result<(), SaveError> {
///         to.put(self)
///     }
///
///     fn restore(&mut self, from: &mut StateReader<'_>) -> Result<(), RestoreError> {
///         *self = from.take()?;
///         Ok(())
///     }
/// }
///
/// let mut policies = PolicyRegistry::built_in();
/// policies.register::<Growing>();
/// ```
pub trait Policy:
    Component<Mutability = Mutable> + Clone + DeserializeOwned + JsonSchema + Default
{
    /// Its name in a scenario.
    const NAME: &'static str;

    /// What it does, in one line.
    const SUMMARY: &'static str;

    /// Roles that the application must have a template of, with any parameters. Default: none in
    /// particular.
    const NEEDS: &'static [Role] = &[];

    /// Whether one instance is wanted while requests wait and a role has no active one, even if the policy
    /// wants none. Default true: no policy by load can see a load where nothing runs.
    const WAKES: bool = true;

    /// Seconds between decisions, more than zero. The first decision is one interval after the start.
    fn interval(&self) -> SimDuration;

    /// How far back its signals reach. Default: to the decision before.
    fn window(&self) -> SimDuration {
        self.interval()
    }

    /// Whether its parameters go together: what the schema of each alone cannot say.
    ///
    /// # Errors
    /// The parameter that is wrong, and why.
    fn check(&self) -> Result<(), InvalidParameter> {
        Ok(())
    }

    /// What in a scenario is likely a mistake with this policy, though it can run. Default: nothing.
    /// [`CheckedScenario::warning_at`] places a warning.
    fn warnings(&self, _checked: &CheckedScenario, _application: usize) -> Vec<Warning> {
        Vec::new()
    }

    /// The roles that its parameters name; each must have a template. Default: none in particular.
    fn names(&self) -> Vec<Role> {
        Self::NEEDS.to_vec()
    }

    /// What it measures of a role. None, the default, is not told; nothing at all is an error, for
    /// the policy can then never decide.
    fn measures(&self, _role: Role) -> Option<Vec<Measure>> {
        None
    }

    /// Is told once, before the run, which application of which scenario it is for. Default: nothing is
    /// done about it. A policy that needs more than its signals, such as the workload to come, takes it
    /// from here.
    ///
    /// # Errors
    /// [`Diagnostics`] when the scenario is not one that it can decide for; the run does not begin.
    fn prepare(
        &mut self,
        _checked: &CheckedScenario,
        _application: usize,
    ) -> Result<(), Diagnostics> {
        Ok(())
    }

    /// Writes its parameters and what it remembers into a snapshot. Of a policy that is serde as a whole that is
    /// `to.put(self)`, with [`remembered`](crate::snapshot::remembered) on each field that is no parameter.
    ///
    /// # Errors
    /// What cannot be written. The default refuses, so that no memory is lost unnoticed.
    fn save(&self, _to: &mut StateWriter) -> Result<(), SaveError> {
        let what = format!("the policy {}", Self::NAME);
        Err(SaveError::not_saved(what, "it has no `Policy::save`"))
    }

    /// Takes what [`save`](Self::save) wrote: `*self = from.take()?` of a policy that is serde as a whole.
    ///
    /// # Errors
    /// What cannot be read.
    fn restore(&mut self, _from: &mut StateReader<'_>) -> Result<(), RestoreError> {
        let what = format!("the policy {}", Self::NAME);
        Err(RestoreError::unreadable(
            what,
            "it has no `Policy::restore`",
        ))
    }

    /// Decides.
    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances);
}

/// A metric that a policy goes by, and the target it is meant to have on each instance, if any.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// The metric.
    pub metric: Metric,
    /// Its target.
    pub target: Option<f64>,
}

impl Measure {
    /// A metric without a target.
    #[must_use]
    pub const fn of(metric: Metric) -> Self {
        Self {
            metric,
            target: None,
        }
    }
}

/// A parameter of a policy that does not go with the others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct InvalidParameter {
    /// Its name.
    pub field: &'static str,
    /// What is wrong with it, and what to do.
    pub message: String,
}

/// How many instances of a role a policy wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Desire {
    /// As many as there are.
    Keep,
    /// A number of instances that start up or are active.
    Exactly(u32),
    /// A change from those that start up or are active at that instant.
    Change(i32),
}

/// What a policy wants, by role. A role of which it says nothing is left alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DesiredInstances {
    roles: BTreeMap<Role, (Desire, Cow<'static, str>)>,
    skus: BTreeMap<Role, Vec<(usize, u32)>>,
    claims: BTreeMap<Role, f64>,
}

impl DesiredInstances {
    /// Wants as many as there are.
    pub fn keep(&mut self, role: Role, reason: impl Into<Cow<'static, str>>) {
        self.want(role, Desire::Keep, reason);
    }

    /// Wants a number of instances that start up or are active.
    pub fn exactly(&mut self, role: Role, count: u32, reason: impl Into<Cow<'static, str>>) {
        self.want(role, Desire::Exactly(count), reason);
    }

    /// Wants more or fewer instances than start up or are active.
    pub fn change(&mut self, role: Role, by: i32, reason: impl Into<Cow<'static, str>>) {
        self.want(role, Desire::Change(by), reason);
    }

    /// Wants this of a role; what was said of it before is forgotten.
    pub fn want(&mut self, role: Role, desire: Desire, reason: impl Into<Cow<'static, str>>) {
        self.skus.remove(&role);
        self.claims.remove(&role);
        self.roles.insert(role, (desire, reason.into()));
    }

    /// Wants a number of instances on each of these SKUs, by its position in the fleet. On the others nothing
    /// changes.
    pub fn on_skus(
        &mut self,
        role: Role,
        counts: Vec<(usize, u32)>,
        reason: impl Into<Cow<'static, str>>,
    ) {
        let sum = counts
            .iter()
            .fold(0_u32, |sum, it| sum.saturating_add(it.1));
        self.exactly(role, sum, reason);
        self.skus.insert(role, counts);
    }

    /// How many are wanted on each SKU, by its position in the fleet; none where the actuator chooses.
    #[must_use]
    pub fn skus(&self, role: Role) -> Option<&[(usize, u32)]> {
        self.skus.get(&role).map(|it| &it[..])
    }

    /// Lets the limiter share out the GPUs that are left: wishes with less to spare come first. Of a role of
    /// which something is wanted already.
    pub fn claim(&mut self, role: Role, spare: f64) {
        self.claims.insert(role, spare);
    }

    /// Wants no more than these on each SKU; where that is less than it was, the reason says why.
    pub(super) fn cut(&mut self, role: Role, counts: &[(usize, u32)], because: &str) {
        let Some((Desire::Exactly(sum), reason)) = self.roles.get_mut(&role) else {
            return;
        };
        let cut = counts
            .iter()
            .fold(0_u32, |sum, it| sum.saturating_add(it.1));
        if cut < *sum {
            *reason = format!("{reason}; {because}").into();
        }
        *sum = cut;
        if let Some(skus) = self.skus.get_mut(&role) {
            *skus = counts.to_vec();
        }
    }

    /// What a role that claims its share of the GPUs has to spare.
    #[must_use]
    pub fn claims(&self, role: Role) -> Option<f64> {
        self.claims.get(&role).copied()
    }

    /// What is wanted of a role, and why.
    #[must_use]
    pub fn of(&self, role: Role) -> Option<(Desire, &str)> {
        let (desire, reason) = self.roles.get(&role)?;
        Some((*desire, reason))
    }

    /// What is wanted, in the order of the roles.
    pub fn iter(&self) -> impl Iterator<Item = (Role, Desire, &str)> {
        let entries = self.roles.iter();
        entries.map(|(role, (desire, reason))| (*role, *desire, &**reason))
    }
}
