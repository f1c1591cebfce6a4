use std::io::Read;

/// Where a reader gets its text from.
pub(super) type Bytes = Box<dyn Read + Send + Sync>;
