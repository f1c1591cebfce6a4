//! The hash of a scenario: whether two runs were made from the same.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{Scenario, Workload};

/// FNV-1a, 64 bits: a hash that is the same on every platform and in every version.
#[derive(Clone, Copy)]
pub(crate) struct Fnv(u64);

impl Fnv {
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds a text and an end mark that no text contains.
    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
        self.bytes(&[0xff]);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The hash itself.
    pub(crate) const fn value(self) -> u64 {
        self.0
    }

    pub(crate) fn digits(self) -> String {
        format!("{:016x}", self.0)
    }
}

/// The hash of the files of all traces, in the order of the applications; none without a trace.
/// What is no regular file, or cannot be read, counts as empty: opening it reports that.
pub(super) fn traces(scenario: &Scenario, directory: &Path) -> Option<u64> {
    let mut hash = Fnv::new();
    let mut any = false;
    for workload in workloads(scenario) {
        let Workload::Trace { path, .. } = workload else {
            continue;
        };
        any = true;
        let path = directory.join(path);
        if let Ok(file) = File::open(path)
            && file.metadata().is_ok_and(|it| it.is_file())
        {
            add_file(&mut hash, file);
        }
        hash.bytes(&[0xff]);
    }
    any.then_some(hash.0)
}

/// The workloads of all applications, then those that regions have of their own.
fn workloads(scenario: &Scenario) -> impl Iterator<Item = &Workload> {
    let regions = scenario.regions.iter().flat_map(|it| &it.applications);
    let own = regions.filter_map(|it| it.workload.as_ref());
    let shared = scenario.applications.iter().map(|it| &it.workload);
    shared.chain(own)
}

/// Whether two scenarios read the same traces.
pub(super) fn same_traces(one: &Scenario, other: &Scenario) -> bool {
    let paths = |of: &Scenario| {
        let paths = workloads(of).filter_map(|it| match it {
            Workload::Trace { path, .. } => Some(path.clone()),
            _ => None,
        });
        paths.collect::<Vec<_>>()
    };
    paths(one) == paths(other)
}

/// Adds a file's bytes, up to the first that cannot be read.
fn add_file(hash: &mut Fnv, mut file: File) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = file.read(&mut buffer) {
        hash.bytes(&buffer[..read]);
    }
}
