//! The sets of a tick in which policies are asked and followed.

use bevy_ecs::prelude::SystemSet;

/// Within [`TickSet::Sense`](crate::fleet::TickSet::Sense): signals are read.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sensed;

/// Within [`TickSet::Decide`](crate::fleet::TickSet::Decide): policies decide.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decided;

/// Within [`Decided`]: each policy says what it wants, before what is scarce is shared out.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Wishes;

/// Within [`TickSet::Act`](crate::fleet::TickSet::Act): what policies want is carried out, after scripted actions.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Actuated;
