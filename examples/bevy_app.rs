//! A fleet in an `App` of Bevy's: a night watch that looks at it every minute of fleet time.
//!
//!     cargo run --example bevy_app --features bevy_app

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use bevy_app::prelude::*;
use bevy_ecs::prelude::*;
use fleetsim::plugin::{FleetPlugin, FleetPlugins};
use fleetsim::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scenario = CheckedScenario::load("scenarios/day_night.ron".as_ref(), &[])?;
    let mut app = App::new();
    app.add_plugins(
        FleetPlugins::new(&scenario).set(FleetPlugin::new(&scenario).step(SimDuration::new(60.0)?)),
    );
    app.add_systems(PostUpdate, watch);
    for _minute in 0..120 {
        app.update();
    }
    Ok(())
}

fn watch(clock: Res<'_, Clock>, instances: Query<'_, '_, &InstanceStatus>) {
    let active = instances.iter().filter(|it| **it == InstanceStatus::Active);
    if clock.now().seconds() % 1800.0 == 0.0 {
        println!("{} s: {} active", clock.now(), active.count());
    }
}
