use std::io::{Read, Write};

use super::{Simulation, SimulationError};
use crate::autoscale::PolicyRegistry;
use crate::fleet;
use crate::scenario::CheckedScenario;
use crate::snapshot::{self, SaveError, StateWriter};

impl Simulation {
    /// Writes a snapshot, from which [`restore`](Self::restore) goes on: with nothing done to either, both end
    /// alike to the last bit. Rows and lines that were not taken yet are in it.
    ///
    /// ```
    /// # use fleetsim::prelude::*;
    /// # let scenario = CheckedScenario::from_ron(r#"(
    /// #     name: "one server", fleet: [(sku: "dgx-h100", count: 1)],
    /// #     applications: [(
    /// #         name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)],
    /// #         workload: Synthetic(
    /// #             arrivals: Poisson(rate: 2.0), prompt_tokens: Constant(100),
    /// #             output_tokens: Constant(10), requests: 20,
    /// #         ),
    /// #     )],
    /// # )"#, ".".as_ref())?;
    /// let mut simulation = Simulation::new(&scenario)?;
    /// simulation.tick()?;
    /// let mut bytes = Vec::new();
    /// simulation.save(&mut bytes)?;
    /// let mut later = Simulation::restore(&scenario, &*bytes)?;
    /// for run in [&mut simulation, &mut later] {
    ///     while run.tick()? {}
    /// }
    /// assert_eq!(simulation.finish().record.summarise(), later.finish().record.summarise());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SaveError`] when a part of the run cannot be written (it is named), or `to` fails.
    pub fn save(&self, to: impl Write) -> Result<(), SaveError> {
        self.save_of(None, Vec::new(), to)
    }

    /// The same with the file of the scenario and the overrides in force.
    pub(crate) fn save_of(
        &self,
        file: Option<String>,
        overrides: Vec<String>,
        to: impl Write,
    ) -> Result<(), SaveError> {
        let Self {
            world,
            end: _,
            has_policies,
            script_ended,
            over,
            stopped,
            pace,
            // That of the scenario, which is the same.
            seed: _,
        } = self;
        let mut header = fleet::header(world)?;
        (header.file, header.overrides) = (file, overrides);
        let mut state = StateWriter::default();
        state.put(&(has_policies, script_ended, over, stopped, pace))?;
        fleet::write(world, &mut state)?;
        snapshot::seal(&header, &state.into_bytes(), to)
    }

    /// Goes on from a snapshot of a run of the same scenario, with the built-in policies to choose from.
    ///
    /// # Errors
    /// [`SimulationError`] as for [`new`](Self::new); and when the bytes are no snapshot, cut short or damaged,
    /// or of another version, build target or scenario.
    pub fn restore(checked: &CheckedScenario, from: impl Read) -> Result<Self, SimulationError> {
        Self::restore_with_policies(checked, &PolicyRegistry::built_in(), from)
    }

    /// Goes on from a snapshot of a run of the same scenario, with these policies to choose from.
    ///
    /// # Errors
    /// As [`restore`](Self::restore).
    pub fn restore_with_policies(
        checked: &CheckedScenario,
        policies: &PolicyRegistry,
        from: impl Read,
    ) -> Result<Self, SimulationError> {
        let opened = snapshot::open(from)?;
        let header = &opened.header;
        header.check(&checked.scenario().name, checked.hash())?;
        let mut simulation = Self::with_policies(checked, policies)?;
        let mut state = opened.state();
        (
            simulation.has_policies,
            simulation.script_ended,
            simulation.over,
            simulation.stopped,
            simulation.pace,
        ) = state.take()?;
        fleet::read(&mut simulation.world, &mut state)?;
        Ok(simulation)
    }
}
