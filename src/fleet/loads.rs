//! Loads that share a bandwidth: each of n gets an nth of it, and a load that joins or leaves moves the ends of
//! the others exactly (processor sharing).

use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

use crate::time::{SimDuration, SimTime};

use super::cache::Item;

/// Whose bandwidth it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Source {
    /// A registry of images, of the whole fleet.
    Registry,
    /// A store of weights, of the whole fleet.
    Store,
    /// The disk of the server of this number, for its own instances.
    Disk(u64),
    /// The disk of the server of this number, for other servers.
    Peer(u64),
}

/// A bandwidth that is shared. Equal figures of one source are one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Link {
    source: Source,
    /// The bits of bytes a second, of all loads together and of one at most.
    all: u64,
    each: u64,
}

/// Every link of a fleet that is in use.
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Loads {
    links: BTreeMap<Link, Sharing>,
    /// The load that each instance waits for.
    waiting: BTreeMap<u64, (Link, Place)>,
    /// What servers are being given: one load serves all their instances.
    onto: BTreeMap<(u64, Item), (Link, Place)>,
}

/// A load of a link: the bits of the work at which it ends, and its number.
type Place = (u64, u64);

/// Bytes that may be left of a load that has ended: what rounding makes of equal loads.
const SLACK: f64 = 0.5;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Sharing {
    /// Bytes that a load has got that has been there from the beginning.
    work: f64,
    /// When that was so.
    since: SimTime,
    loads: BTreeMap<Place, Load>,
    joined: u64,
    /// The instance whose timer stands for the first end.
    armed: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Load {
    /// The server and what it is being given, of what stays there.
    onto: Option<(u64, Item)>,
    /// Instances, in the order in which they came.
    waiting: Vec<u64>,
}

impl Link {
    pub(super) fn new(source: Source, all_bytes_per_s: f64, each_bytes_per_s: f64) -> Self {
        Self {
            source,
            all: all_bytes_per_s.to_bits(),
            each: each_bytes_per_s.to_bits(),
        }
    }

    /// Bytes a second of each of n loads.
    fn rate(&self, loads: usize) -> f64 {
        let share = f64::from_bits(self.all) / loads.max(1) as f64;
        share.min(f64::from_bits(self.each))
    }
}

impl Sharing {
    fn pass(&mut self, link: &Link, now: SimTime) {
        self.work += link.rate(self.loads.len()) * (now - self.since).seconds();
        self.since = self.since.max(now);
    }

    fn first_end(&self, link: &Link) -> Option<SimTime> {
        let (&(end, _), _) = self.loads.first_key_value()?;
        let left = (f64::from_bits(end) - self.work).max(0.0);
        Some(self.since + SimDuration::saturating(left / link.rate(self.loads.len())))
    }
}

impl Loads {
    /// An instance waits for bytes from a link from now on. What its server is being given already, it waits for
    /// with the others there; the link that it waits at is returned.
    pub(super) fn join(
        &mut self,
        link: Link,
        bytes: u64,
        onto: Option<(u64, Item)>,
        instance: u64,
        now: SimTime,
    ) -> Link {
        let there = onto.as_ref().and_then(|onto| self.onto.get(onto)).copied();
        if let Some((link, place)) = there {
            let sharing = self.links.get_mut(&link);
            if let Some(load) = sharing.and_then(|it| it.loads.get_mut(&place)) {
                load.waiting.push(instance);
                self.waiting.insert(instance, (link, place));
                return link;
            }
        }
        let sharing = self.links.entry(link).or_insert_with(|| Sharing {
            work: 0.0,
            since: now,
            loads: BTreeMap::new(),
            joined: 0,
            armed: None,
        });
        sharing.pass(&link, now);
        let place = ((sharing.work + bytes as f64).to_bits(), sharing.joined);
        sharing.joined += 1;
        let waiting = vec![instance];
        if let Some(onto) = &onto {
            self.onto.insert(onto.clone(), (link, place));
        }
        sharing.loads.insert(place, Load { onto, waiting });
        self.waiting.insert(instance, (link, place));
        link
    }

    /// An instance waits no longer. A load that nobody waits for ends; the link is returned.
    pub(super) fn leave(&mut self, instance: u64, now: SimTime) -> Option<Link> {
        let (link, place) = self.waiting.remove(&instance)?;
        let sharing = self.links.get_mut(&link)?;
        let load = sharing.loads.get_mut(&place)?;
        load.waiting.retain(|&it| it != instance);
        if load.waiting.is_empty() {
            sharing.pass(&link, now);
            if let Some(onto) = sharing.loads.remove(&place).and_then(|it| it.onto) {
                self.onto.remove(&onto);
            }
        }
        Some(link)
    }

    /// The link that an instance waits at.
    pub(super) fn link_of(&self, instance: u64) -> Option<Link> {
        self.waiting.get(&instance).map(|&(link, _)| link)
    }

    /// Ends the loads of a link that are due now: the instances that waited, by load and in the order in which
    /// they came.
    pub(super) fn end_due(&mut self, link: Link, now: SimTime) -> Vec<u64> {
        let mut ended = Vec::new();
        let Some(sharing) = self.links.get_mut(&link) else {
            return ended;
        };
        if sharing.first_end(&link).is_none_or(|first| first > now) {
            return ended;
        }
        sharing.pass(&link, now);
        if let Some((&(first, _), _)) = sharing.loads.first_key_value() {
            sharing.work = sharing.work.max(f64::from_bits(first));
        }
        while let Some(load) = sharing.loads.first_entry()
            && f64::from_bits(load.key().0) <= sharing.work + SLACK
        {
            let load = load.remove();
            if let Some(onto) = load.onto {
                self.onto.remove(&onto);
            }
            for instance in load.waiting {
                self.waiting.remove(&instance);
                ended.push(instance);
            }
        }
        ended
    }

    /// How many load from a server's disk onto others.
    pub(super) fn loading_from(&self, server: u64) -> usize {
        let links = self.links.iter();
        let of_server = links.filter(|(link, _)| link.source == Source::Peer(server));
        of_server.map(|(_, sharing)| sharing.loads.len()).sum()
    }

    /// The instances that wait for another server, which is gone: they wait no longer.
    pub(super) fn cut_off(&mut self, server: u64, now: SimTime) -> Vec<u64> {
        let of_server =
            |(_, (link, _)): &(&u64, &(Link, Place))| link.source == Source::Peer(server);
        let cut = self.waiting.iter().filter(of_server);
        let cut: Vec<u64> = cut.map(|(&instance, _)| instance).collect();
        for &instance in &cut {
            self.leave(instance, now);
        }
        self.links
            .retain(|link, it| link.source != Source::Peer(server) || !it.loads.is_empty());
        cut
    }

    /// The instance whose timer stands for a link's first end, and when that is, after a change; and the
    /// instance whose timer stood for it before. A link without loads is forgotten.
    pub(super) fn arm(&mut self, link: Link) -> (Option<u64>, Option<(SimTime, u64)>) {
        let Some(sharing) = self.links.get_mut(&link) else {
            return (None, None);
        };
        let before = sharing.armed;
        let first = sharing.loads.first_key_value();
        let first = first.and_then(|(_, load)| load.waiting.first().copied());
        sharing.armed = first;
        let next = sharing.first_end(&link).zip(first);
        if next.is_none() {
            self.links.remove(&link);
        }
        (before.filter(|it| Some(*it) != first), next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> SimTime {
        SimTime::new(seconds).unwrap()
    }

    fn link(all: f64, each: f64) -> Link {
        Link::new(Source::Store, all, each)
    }

    /// Runs a link to its end: when each instance had its bytes.
    fn ends(loads: &mut Loads, link: Link) -> Vec<(f64, Vec<u64>)> {
        let mut ends = Vec::new();
        while let (_, Some((time, _))) = loads.arm(link) {
            ends.push((time.seconds(), loads.end_due(link, time)));
        }
        ends
    }

    #[test]
    fn n_loads_at_once_take_n_times_as_long() {
        let link = link(100.0, f64::INFINITY);
        let mut loads = Loads::default();
        for instance in 0..50 {
            loads.join(
                link,
                1_000,
                Some((instance, Item::Booted)),
                instance,
                at(3.0),
            );
        }
        assert_eq!(ends(&mut loads, link), [(503.0, (0..50).collect())]);
    }

    #[test]
    fn one_that_joins_or_leaves_moves_the_ends_of_the_others() {
        // 100 bytes/s. At 0: one of 1,000 bytes. At 4, with 600 left, one of 300 joins: 50 bytes/s each. At 8 one
        // of 5,000 joins with 400 and 100 left; it leaves at 11, when 300 and 0 are left.
        let link = link(100.0, f64::INFINITY);
        let mut loads = Loads::default();
        loads.join(link, 1_000, None, 1, at(0.0));
        assert_eq!(loads.arm(link), (None, Some((at(10.0), 1))));
        loads.join(link, 300, None, 2, at(4.0));
        assert_eq!(loads.arm(link), (Some(1), Some((at(10.0), 2))));
        loads.join(link, 5_000, None, 3, at(8.0));
        assert_eq!(loads.arm(link), (None, Some((at(11.0), 2))));
        assert_eq!(loads.end_due(link, at(11.0)), [2]);
        assert_eq!(loads.leave(3, at(11.0)), Some(link));
        assert_eq!(ends(&mut loads, link), [(14.0, vec![1])]);
        assert!(loads.links.is_empty() && loads.waiting.is_empty());
    }

    #[test]
    fn one_alone_gets_no_more_than_its_own_limit() {
        let link = link(100.0, 40.0);
        let mut loads = Loads::default();
        loads.join(link, 400, None, 1, at(0.0));
        // Two get 40 each, five 20 each.
        loads.join(link, 400, None, 2, at(5.0));
        assert_eq!(ends(&mut loads, link), [(10.0, vec![1]), (15.0, vec![2])]);
    }

    #[test]
    fn instances_of_a_server_wait_for_one_load() {
        let link = link(100.0, f64::INFINITY);
        let mut loads = Loads::default();
        let image = || Some((7, Item::Image("engine".into())));
        loads.join(link, 1_000, image(), 1, at(0.0));
        loads.join(link, 1_000, image(), 2, at(4.0));
        // The one that came first gives up: the load goes on for the other.
        assert_eq!(loads.leave(1, at(5.0)), Some(link));
        assert_eq!(ends(&mut loads, link), [(10.0, vec![2])]);
        assert!(loads.onto.is_empty());
    }
}
