use super::event::Track;

/// Which process and which thread of the trace stands for what. Applications come first, then servers,
/// each of them a process; the instances on a server are threads of it. No two threads share a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tracks {
    pub(super) applications: u64,
}

impl Tracks {
    /// An application, by its position.
    pub(super) const fn application(self, index: usize) -> Track {
        let number = index as u64;
        Track {
            pid: number + 1,
            tid: thread(number, 0),
        }
    }

    /// The life of a server, by its number.
    pub(super) const fn server(self, number: u64) -> Track {
        Track {
            pid: self.applications + number + 1,
            tid: thread(number, 1),
        }
    }

    /// The life of an instance, by the numbers of its server and its own.
    pub(super) const fn life(self, server: u64, instance: u64) -> Track {
        Track {
            pid: self.server(server).pid,
            tid: thread(instance, 2),
        }
    }

    /// The batches of an instance.
    pub(super) const fn batches(self, server: u64, instance: u64) -> Track {
        Track {
            pid: self.server(server).pid,
            tid: thread(instance, 3),
        }
    }
}

const fn thread(number: u64, kind: u64) -> u64 {
    4 * (number + 1) + kind
}
