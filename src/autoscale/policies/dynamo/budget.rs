//! A budget of GPUs: how much of a change fits into it.

/// The fewest and the most GPUs that an application may have; none for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Budget {
    pub(super) least: Option<u32>,
    pub(super) most: Option<u32>,
}

/// A role as the budget sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// GPUs of an instance.
    pub(super) gpus: u32,
    /// Instances that there are at least.
    pub(super) min: u32,
    /// Instances that there are.
    pub(super) current: u32,
    /// Instances that are wanted.
    pub(super) wanted: u32,
}

impl Share {
    fn between(&self) -> std::ops::RangeInclusive<u32> {
        let low = self.current.min(self.wanted).max(self.min);
        low..=self.current.max(self.wanted)
    }

    fn holds(&self, count: u32) -> bool {
        (self.current.min(self.wanted)..=self.current.max(self.wanted)).contains(&count)
    }

    /// The same with another number wanted.
    const fn wanting(self, wanted: u32) -> Self {
        Self { wanted, ..self }
    }
}

fn cost(gpus: u32, count: u32) -> u64 {
    u64::from(gpus) * u64::from(count)
}

impl Budget {
    /// The same without its lower end.
    pub(super) const fn ceiling(self) -> Self {
        Self {
            least: None,
            most: self.most,
        }
    }

    fn is_above(self, gpus: u64) -> bool {
        self.most.is_some_and(|most| gpus > u64::from(most))
    }

    /// Whether fewer GPUs are used than the lower end allows, which has a slack where both ends are set.
    fn is_below(self, gpus: u64, slack: u32) -> bool {
        let slack = if self.most.is_some() { slack } else { 0 };
        self.least
            .is_some_and(|least| gpus < u64::from(least.saturating_sub(slack)))
    }

    fn is_at_floor(self, gpus: u64) -> bool {
        self.least.is_some_and(|least| gpus <= u64::from(least))
    }

    fn is_at_ceiling(self, gpus: u64) -> bool {
        self.most.is_some_and(|most| gpus >= u64::from(most))
    }

    /// The instances of a role alone, as near to what is wanted as the budget allows. A limit shortens a
    /// move and never turns it; what is outside the budget already is brought back into it.
    pub(super) fn one(self, of: Share) -> u32 {
        let now = cost(of.gpus, of.current);
        if self.is_above(now) || self.is_below(now, of.gpus) {
            return self.clamp(of, of.current);
        }
        let held = self.is_at_floor(now) && of.wanted < of.current
            || self.is_at_ceiling(now) && of.wanted > of.current;
        if held {
            return of.current;
        }
        let count = self.clamp(of, of.wanted);
        if of.holds(count) { count } else { of.current }
    }

    /// The most whole instances that fit, or the fewest that the lower end asks for.
    fn clamp(self, of: Share, count: u32) -> u32 {
        let (gpus, min) = (of.gpus.max(1), of.min);
        let used = cost(gpus, count);
        match (self.most, self.least) {
            (Some(most), _) if self.is_above(used) => match cost(gpus, min) > u64::from(most) {
                true => 0,
                false => min.max(most / gpus),
            },
            (_, Some(least)) if self.is_below(used, gpus) => {
                let more = min.max(least.div_ceil(gpus));
                if self.is_above(cost(gpus, more)) {
                    count
                } else {
                    more
                }
            }
            _ => count,
        }
    }

    /// The instances of two roles, as near to what is wanted as the budget allows.
    pub(super) fn two(self, [p, d]: [Share; 2]) -> [u32; 2] {
        let current = [p.current, d.current];
        if p.current < p.min || d.current < d.min {
            let raised = |it: Share| it.wanting(it.wanted.max(it.min));
            return self.in_proportion([raised(p), raised(d)]);
        }
        let now = cost(p.gpus, p.current) + cost(d.gpus, d.current);
        if self.is_above(now) || self.is_below(now, p.gpus.max(d.gpus)) {
            return self.in_proportion([p.wanting(p.current), d.wanting(d.current)]);
        }
        if self.least.is_none() {
            return self.nearest([p, d]);
        }
        let grows = |it: Share| it.wanted > it.current;
        let shrinks = |it: Share| it.wanted < it.current;
        let any_up = grows(p) || grows(d);
        let any_down = shrinks(p) || shrinks(d);
        let opposite = grows(p) && shrinks(d) || shrinks(p) && grows(d);
        if opposite && (self.is_at_floor(now) || self.is_at_ceiling(now)) {
            return self.nearest([p, d]);
        }
        let held =
            self.is_at_floor(now) && any_down && !any_up || self.is_at_ceiling(now) && any_up;
        if held {
            return current;
        }
        let [a, b] = self.in_proportion([p, d]);
        if p.holds(a) && d.holds(b) {
            [a, b]
        } else {
            current
        }
    }

    /// Two roles of which the wanted numbers are only to stay below the upper end: floors of another mode.
    pub(super) fn two_below(self, [p, d]: [Share; 2]) -> [u32; 2] {
        let ceiling = self.ceiling();
        if p.current < p.min || d.current < d.min {
            let raised = |it: Share| it.wanting(it.wanted.max(it.min));
            return ceiling.in_proportion([raised(p), raised(d)]);
        }
        ceiling.nearest([p, d])
    }

    /// The pair nearest to what is wanted, between that and what there is, within the budget and the minima.
    /// Moves of opposite ways are made both or not at all; the pair that there is where no other fits.
    pub(super) fn nearest(self, [p, d]: [Share; 2]) -> [u32; 2] {
        let fits = |a: u32, b: u32| {
            let used = cost(p.gpus, a) + cost(d.gpus, b);
            !self.is_above(used) && !self.is_below(used, p.gpus.max(d.gpus))
        };
        if p.wanted >= p.min && d.wanted >= d.min && fits(p.wanted, d.wanted) {
            return [p.wanted, d.wanted];
        }
        let opposite = (p.wanted > p.current && d.wanted < d.current)
            || (p.wanted < p.current && d.wanted > d.current);
        let moved = |of: Share, to: u32| u64::from(to.abs_diff(of.current));
        let pairs = p.between().flat_map(|a| d.between().map(move |b| (a, b)));
        let pairs = pairs.filter(|&(a, b)| {
            let half = opposite && (a == p.current) != (b == d.current);
            !half && fits(a, b)
        });
        let best = pairs.min_by_key(|&(a, b)| {
            let off = u64::from(p.wanted.abs_diff(a)) + u64::from(d.wanted.abs_diff(b));
            let asked = (moved(p, p.wanted), moved(d, d.wanted));
            let (of_p, of_d) = (moved(p, a), moved(d, b));
            let skew = (of_p * asked.1).abs_diff(of_d * asked.0);
            (off, skew, std::cmp::Reverse(of_p + of_d), a, b)
        });
        best.map_or([p.current, d.current], |(a, b)| [a, b])
    }

    /// What is wanted of two roles, brought into the budget in proportion.
    fn in_proportion(self, [p, d]: [Share; 2]) -> [u32; 2] {
        let wanted = [p.wanted, d.wanted];
        let gpus = (p.gpus.max(1), d.gpus.max(1));
        let all = cost(gpus.0, p.wanted) + cost(gpus.1, d.wanted);
        if let Some(most) = self.most.filter(|_| self.is_above(all)) {
            let minima = cost(gpus.0, p.min) + cost(gpus.1, d.min);
            if minima > u64::from(most) {
                return [0, 0];
            }
            let beside = u64::from(most) - cost(gpus.1, d.min);
            let part = f64::from(p.wanted) * (f64::from(most) / all as f64);
            let a = part.floor().min((beside / u64::from(gpus.0)) as f64);
            let a = p.min.max(a as u32);
            let left = u64::from(most).saturating_sub(cost(gpus.0, a));
            return [a, d.min.max((left / u64::from(gpus.1)) as u32)];
        }
        let Some(least) = self
            .least
            .filter(|_| self.is_below(all, gpus.0.max(gpus.1)))
        else {
            return wanted;
        };
        let part = match all {
            0 => f64::from(least) / 2.0 / f64::from(gpus.0),
            all => f64::from(p.wanted) * (f64::from(least) / all as f64),
        };
        let a = p.min.max(part.ceil() as u32);
        let left = u64::from(least).saturating_sub(cost(gpus.0, a));
        let b = d.min.max(left.div_ceil(u64::from(gpus.1)) as u32);
        let shrinks = b < d.wanted;
        let b = b.max(d.wanted);
        if !self.is_above(cost(gpus.0, a) + cost(gpus.1, b)) {
            return [a, b];
        }
        if !shrinks {
            return wanted;
        }
        let from = |it: Share, to| Share {
            current: it.wanted,
            wanted: to,
            ..it
        };
        self.nearest([from(p, a), from(d, d.wanted)])
    }
}
