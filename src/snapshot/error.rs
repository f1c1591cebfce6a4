use std::fmt::Display;

/// Why a run cannot be saved. Nothing is written then, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaveError {
    /// The world has no fleet.
    #[error("there is nothing to save: the world has no fleet")]
    NoFleet,
    /// A part of the run cannot be written.
    #[error("{what} cannot be saved: {why}")]
    NotSaved {
        /// Which part.
        what: String,
        /// Why not, and what to do.
        why: String,
    },
    /// The bytes cannot be written to where they go.
    #[error("cannot write the snapshot: {0}")]
    Write(String),
}

impl SaveError {
    /// This part cannot be written, for this reason.
    pub fn not_saved(what: impl Into<String>, why: impl Display) -> Self {
        Self::NotSaved {
            what: what.into(),
            why: why.to_string(),
        }
    }
}

/// Why a run cannot be restored from some bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The bytes cannot be read from where they are.
    #[error("cannot read the snapshot: {0}")]
    Read(String),
    /// The bytes are something else.
    #[error("this is no snapshot: `fleetsim run --until T --save FILE` writes one")]
    NotASnapshot,
    /// The format is that of another version.
    #[error(
        "the snapshot has the format {found}, and this version reads {known}: run the scenario again"
    )]
    Format {
        /// The format of the snapshot.
        found: u32,
        /// The format that is read.
        known: u32,
    },
    /// The end is missing.
    #[error("the snapshot is cut short: it has {found} of {whole} bytes; save it again")]
    CutShort {
        /// Bytes that are there.
        found: u64,
        /// Bytes that were written.
        whole: u64,
    },
    /// Some byte is not what was written.
    #[error("the snapshot is damaged: its checksum does not match; save it again")]
    Damaged,
    /// The snapshot is of something else than the world it is to be restored into.
    #[error("the snapshot has the {what} {saved}, and here it is {here}: {advice}")]
    Differs {
        /// What differs.
        what: &'static str,
        /// In the snapshot.
        saved: String,
        /// Here.
        here: String,
        /// What to do.
        advice: &'static str,
    },
    /// The snapshot has something that the world does not know.
    #[error(
        "the snapshot has {0}, and this world does not: install that first, as it was in the run that was saved"
    )]
    Unknown(String),
    /// The world is not at time zero, or has no fleet.
    #[error("a snapshot is restored into a fleet that was installed and has not been run yet")]
    NotFresh,
    /// A part of it cannot be read, though no byte is damaged.
    #[error("{what} cannot be read from the snapshot: {why}")]
    Unreadable {
        /// Which part.
        what: String,
        /// Why not.
        why: String,
    },
}

impl RestoreError {
    /// This part cannot be read, for this reason.
    pub fn unreadable(what: impl Into<String>, why: impl Display) -> Self {
        Self::Unreadable {
            what: what.into(),
            why: why.to_string(),
        }
    }
}
