//! What stands around the state in a snapshot: how it is known, and whether it is whole.

use std::io::{Read, Write};

use serde::{Deserialize, Serialize};

use super::{RestoreError, SaveError, StateReader, StateWriter};
use crate::time::SimTime;

/// The first bytes of every snapshot.
const MAGIC: [u8; 16] = *b"fleetsim-state\r\n";

/// The format of what follows.
const FORMAT: u32 = 1;

/// Bytes before the content: magic, format, length, checksum.
const FRONT: usize = MAGIC.len() + 4 + 8 + 8;

/// What a snapshot says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The version of fleetsim that wrote it.
    pub version: String,
    /// The build target of that.
    pub target: String,
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's [hash](crate::scenario::CheckedScenario::hash).
    pub hash: String,
    /// The instant that the run had reached.
    pub now: SimTime,
    /// The file of the scenario, where the command line saved it.
    pub file: Option<String>,
    /// The overrides that were in force, as in `--set`.
    pub overrides: Vec<String>,
}

impl Header {
    /// Of a run of a scenario with this name and hash.
    pub(crate) fn new(scenario: &str, hash: &str, now: SimTime) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            target: target(),
            scenario: scenario.to_owned(),
            hash: hash.to_owned(),
            now,
            file: None,
            overrides: Vec::new(),
        }
    }

    /// Refuses another version or another build target.
    pub(crate) fn check_program(&self) -> Result<(), RestoreError> {
        let advice = "restore it with the program that saved it, or run the scenario again";
        let own = Self::new("", "", SimTime::ZERO);
        differs("version", &self.version, &own.version, advice)?;
        differs("build target", &self.target, &own.target, advice)
    }

    /// Refuses another program, or another scenario than this one.
    pub(crate) fn check(&self, scenario: &str, hash: &str) -> Result<(), RestoreError> {
        self.check_program()?;
        let advice = "restore it with the scenario, the overrides, the catalog files and the traces of the \
                      run that was saved";
        differs("scenario", &self.scenario, scenario, advice)?;
        differs("hash", &self.hash, hash, advice)
    }
}

fn target() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

fn differs(
    what: &'static str,
    saved: &str,
    here: &str,
    advice: &'static str,
) -> Result<(), RestoreError> {
    if saved == here {
        return Ok(());
    }
    Err(RestoreError::Differs {
        what,
        saved: saved.to_owned(),
        here: here.to_owned(),
        advice,
    })
}

/// Writes a snapshot.
pub(crate) fn seal(header: &Header, state: &[u8], mut to: impl Write) -> Result<(), SaveError> {
    let mut content = StateWriter::default();
    content.put(header)?;
    let mut content = content.into_bytes();
    content.extend_from_slice(state);
    let mut front = MAGIC.to_vec();
    front.extend(FORMAT.to_le_bytes());
    front.extend((content.len() as u64).to_le_bytes());
    front.extend(checksum(&content).to_le_bytes());
    let mut write = || {
        to.write_all(&front)?;
        to.write_all(&content)?;
        to.flush()
    };
    write().map_err(|error| SaveError::Write(error.to_string()))
}

/// A snapshot that is whole.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) header: Header,
    content: Vec<u8>,
    state: usize,
}

impl Opened {
    /// The state in it.
    pub(crate) fn state(&self) -> StateReader<'_> {
        StateReader::new(&self.content[self.state..])
    }
}

/// Reads a snapshot, and makes sure that every byte is what was written.
pub(crate) fn open(mut from: impl Read) -> Result<Opened, RestoreError> {
    let failed = |error: std::io::Error| RestoreError::Read(error.to_string());
    let mut bytes = Vec::new();
    (&mut from)
        .take(FRONT as u64)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let short = MAGIC.len().min(bytes.len());
    if bytes.is_empty() || bytes[..short] != MAGIC[..short] {
        return Err(RestoreError::NotASnapshot);
    }
    let mut front = bytes[short..].iter().copied();
    let mut number = |bytes: usize| {
        let digits = (0..bytes).map(|place| Some(u64::from(front.next()?) << (8 * place)));
        digits.sum::<Option<u64>>()
    };
    let cut_short = |found: usize, whole: u64| RestoreError::CutShort {
        found: found as u64,
        whole,
    };
    let (Some(format), Some(length), Some(sum)) = (number(4), number(8), number(8)) else {
        return Err(cut_short(bytes.len(), FRONT as u64));
    };
    if format != u64::from(FORMAT) {
        return Err(RestoreError::Format {
            found: format as u32,
            known: FORMAT,
        });
    }
    let mut content = Vec::new();
    (&mut from)
        .take(length)
        .read_to_end(&mut content)
        .map_err(failed)?;
    if (content.len() as u64) < length {
        let whole = length.saturating_add(FRONT as u64);
        return Err(cut_short(FRONT + content.len(), whole));
    }
    let mut more = [0];
    let more = from.read(&mut more).map_err(failed)? > 0;
    if more || checksum(&content) != sum {
        return Err(RestoreError::Damaged);
    }
    let mut reader = StateReader::new(&content);
    let header = reader.take()?;
    let state = content.len() - reader.left();
    Ok(Opened {
        header,
        content,
        state,
    })
}

/// What a snapshot says of itself, from bytes that are whole.
///
/// # Errors
/// [`RestoreError`] where the bytes are no snapshot, or a damaged one.
pub fn read_header(from: impl Read) -> Result<Header, RestoreError> {
    Ok(open(from)?.header)
}

/// FNV-1a over words of 8 bytes, and the length: no single word can change without it.
fn checksum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    let (words, rest) = bytes.as_chunks::<8>();
    let sum = words.iter().fold(0xcbf2_9ce4_8422_2325, |sum, word| {
        step(sum, u64::from_le_bytes(*word))
    });
    let sum = rest.iter().fold(sum, |sum, &byte| step(sum, byte.into()));
    step(sum, bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sealed(state: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let header = Header::new("chat", "0123", SimTime::ZERO);
        seal(&header, state, &mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(state in prop::collection::vec(any::<u8>(), 0..200)) {
            let opened = open(&*sealed(&state)).unwrap();
            prop_assert_eq!(opened.header.scenario.as_str(), "chat");
            let mut read = opened.state();
            let bytes: Vec<u8> = state.iter().map(|_| read.take().unwrap()).collect();
            prop_assert_eq!(bytes, state);
            prop_assert!(read.is_empty());
        }

        #[test]
        fn no_change_goes_unnoticed(
            state in prop::collection::vec(any::<u8>(), 0..200),
            flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = sealed(&state);
            prop_assert!(open(&whole[..cut.index(whole.len())]).is_err());
            let mut changed = whole.clone();
            for (at, bit) in flips {
                let at = at.index(changed.len());
                changed[at] ^= 1 << bit;
            }
            prop_assert_eq!(open(&*changed).is_err(), changed != whole);
            let mut longer = whole;
            longer.push(0);
            prop_assert!(open(&*longer).is_err());
        }

        #[test]
        fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(open(&*bytes).is_err());
        }
    }
}
