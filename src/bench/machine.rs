use std::fmt;
use std::fs;
use std::thread;

/// What the figures were measured on.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The processor's name, where the system tells.
    pub processor: Option<String>,
    /// Threads that it runs at once, where the system tells.
    pub threads: Option<usize>,
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn this() -> Self {
        Self {
            processor: value("/proc/cpuinfo", "model name"),
            threads: thread::available_parallelism().ok().map(usize::from),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let processor = self.processor.as_deref().unwrap_or("unknown processor");
        write!(f, "{processor}")?;
        match self.threads {
            Some(threads) => write!(f, ", {threads} threads"),
            None => Ok(()),
        }
    }
}

/// The most memory, in bytes, that this process had at once since [`reset_peak_memory`]. Only Linux
/// tells.
#[must_use]
pub fn peak_memory() -> Option<u64> {
    let text = value("/proc/self/status", "VmHWM")?;
    let kibibytes: u64 = text.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Begins [`peak_memory`] anew. Where the system cannot, the peak stays that of the whole process.
pub fn reset_peak_memory() {
    // 5 resets the high-water mark of resident memory: proc_pid_clear_refs(5).
    if let Err(error) = fs::write("/proc/self/clear_refs", "5") {
        tracing::debug!("the peak of memory is not reset: {error}");
    }
}

/// The value of the first line `key: value` of a file.
fn value(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim().to_owned())
    })
}
