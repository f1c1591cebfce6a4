//! What start-ups leave on a server, so that the next one there is faster.

use std::sync::Arc;

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;
use serde::{Deserialize, Serialize};

use crate::scenario::{CheckedScenario, Stage, WeightSource};

use super::ServerCache;

/// What a start-up leaves on a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Item {
    /// It was allocated.
    Provisioned,
    /// It has booted.
    Booted,
    /// The image of this name.
    Image(Arc<str>),
    /// The weights of the model of this name.
    Weights(Arc<str>),
    /// The engine of a template has started there: the positions of the application and of the template.
    Started(usize, usize),
    /// The kernels of a template.
    Compiled(usize, usize),
    /// The graphs of a template were captured there.
    Captured(usize, usize),
}

/// Whose start-up it is.
#[derive(Clone, Debug)]
pub(super) struct Starter {
    /// The position of the application.
    pub(super) application: usize,
    pub(super) template: usize,
    pub(super) model: Arc<str>,
}

/// What a stage leaves on the server.
pub(super) fn item(stage: &Stage, starter: &Starter) -> Option<Item> {
    let Starter {
        application,
        template,
        model,
    } = starter;
    Some(match stage {
        Stage::Provision(_) => Item::Provisioned,
        Stage::Boot(_) => Item::Booted,
        Stage::PullImage { image, .. } => Item::Image(image.as_str().into()),
        Stage::LoadWeights { source, .. } => match source {
            WeightSource::Disk => return None,
            WeightSource::Remote | WeightSource::Peer => Item::Weights(Arc::clone(model)),
        },
        Stage::StartEngine { .. } => Item::Started(*application, *template),
        Stage::Compile { .. } => Item::Compiled(*application, *template),
        Stage::CaptureGraphs { .. } => Item::Captured(*application, *template),
        Stage::WarmUp(_) | Stage::WarmUpRequests { .. } | Stage::Preset(_) => return None,
    })
}

/// Puts on the servers of time zero what the scenario says: all of them are there, those that carry instances have
/// what these needed, those that are cached have everything. `servers` are
/// those that the scenario counts, then others, each with the position of its SKU.
pub(super) fn fill_at_start(
    world: &mut World,
    checked: &CheckedScenario,
    servers: &[(Entity, usize)],
) {
    let scenario = checked.scenario();
    let of_template = |application: usize, template: usize| {
        let of = &scenario.applications[application];
        let starter = Starter {
            application,
            template,
            model: of.model.as_str().into(),
        };
        let stages = Stage::expand(&of.scaling.stages);
        let items = stages.iter().filter_map(|stage| item(stage, &starter));
        items.collect::<Vec<Item>>()
    };
    let staged = |of: &crate::scenario::Application| !of.scaling.stages.is_empty();
    if !scenario.applications.iter().any(staged) {
        return;
    }
    let mut caches = vec![ServerCache::default(); servers.len()];
    for (cache, &(_, sku)) in caches.iter_mut().zip(servers) {
        cache.add(Item::Provisioned);
        cache.add(Item::Booted);
        if scenario.fleet[sku].cached {
            for (application, of) in scenario.applications.iter().enumerate() {
                let templates = 0..of.instances.len();
                let items = templates.flat_map(|template| of_template(application, template));
                items.for_each(|item| cache.add(item));
            }
        }
    }
    for placed in &checked.placement().instances {
        let items = of_template(placed.application, placed.template).into_iter();
        items.for_each(|item| caches[placed.server].add(item));
    }
    for (&(server, _), cache) in servers.iter().zip(caches) {
        world.entity_mut(server).insert(cache);
    }
}

/// What is on a server, to change.
pub(super) fn on(
    world: &mut World,
    server: Entity,
) -> Option<bevy_ecs::prelude::Mut<'_, ServerCache>> {
    if world.get::<ServerCache>(server).is_none() {
        world
            .get_entity_mut(server)
            .ok()?
            .insert(ServerCache::default());
    }
    world.get_mut(server)
}
