//! Labels at the points of a chart: each where it covers no other, or not at all.

use plotly::common::Position;

/// Pixels that a letter is wide and a line high.
const LETTER: f64 = 7.0;
const LINE: f64 = 15.0;
/// Pixels from the middle of a point to its edge.
const POINT: f64 = 6.0;
/// Pixels of the chart, less its margins, on a screen that is wide enough for the page.
const WIDTH: f64 = 1128.0;
const HEIGHT: f64 = 382.0;

/// What the axes of a chart show: from and to, or their logarithms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) x: [f64; 2],
    pub(super) y: [f64; 2],
}

/// Room on the chart: its sides, and its lower and upper edges.
type Room = [f64; 4];

/// Labels placed so far, and points that none may cover.
#[derive(Debug)]
pub(super) struct Labels {
    frame: Frame,
    taken: Vec<Room>,
}

impl Labels {
    /// None yet, at any of these points.
    pub(super) fn new(frame: Frame, points: impl Iterator<Item = (f64, f64)>) -> Self {
        let mut labels = Self {
            frame,
            taken: Vec::new(),
        };
        for at in points {
            let [x, y] = labels.pixels(at);
            labels
                .taken
                .push([x - POINT, x + POINT, y - POINT, y + POINT]);
        }
        labels
    }

    /// Where the label of a point goes, in the first of these places that is free; `None` if none is.
    pub(super) fn place(
        &mut self,
        at: (f64, f64),
        label: &str,
        places: &[Position],
    ) -> Option<Position> {
        let [x, y] = self.pixels(at);
        let width = LETTER * label.chars().count() as f64;
        for place in places {
            let (left, bottom) = match place {
                Position::TopLeft => (x - width, y + POINT),
                Position::TopCenter => (x - width / 2.0, y + POINT),
                Position::TopRight => (x, y + POINT),
                Position::MiddleLeft => (x - width - POINT, y - LINE / 2.0),
                Position::MiddleRight => (x + POINT, y - LINE / 2.0),
                Position::BottomLeft => (x - width, y - POINT - LINE),
                Position::BottomCenter => (x - width / 2.0, y - POINT - LINE),
                Position::BottomRight => (x, y - POINT - LINE),
                Position::MiddleCenter | Position::Inside | Position::Outside => {
                    (x - width / 2.0, y - LINE / 2.0)
                }
            };
            let room = [left, left + width, bottom, bottom + LINE];
            let inside = room[0] >= 0.0 && room[1] <= WIDTH;
            if inside && !self.taken.iter().any(|other| overlap(&room, other)) {
                self.taken.push(room);
                return Some(place.clone());
            }
        }
        None
    }

    fn pixels(&self, (x, y): (f64, f64)) -> [f64; 2] {
        let share = |value: f64, [from, to]: [f64; 2]| (value - from) / (to - from);
        [
            WIDTH * share(x, self.frame.x),
            HEIGHT * share(y, self.frame.y),
        ]
    }
}

fn overlap(a: &Room, b: &Room) -> bool {
    a[0] < b[1] && b[0] < a[1] && a[2] < b[3] && b[2] < a[3]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame {
        x: [0.0, WIDTH],
        y: [0.0, HEIGHT],
    };

    #[test]
    fn no_label_covers_another_or_a_point() {
        let points = [(300.0, 100.0), (310.0, 100.0), (370.0, 100.0)];
        let mut labels = Labels::new(FRAME, points.into_iter());
        let places = [Position::MiddleRight, Position::TopRight];
        let mut place = |at| labels.place(at, "Threshold", &places);
        let beside = |place: Option<Position>| matches!(place, Some(Position::MiddleRight));
        let above = |place: Option<Position>| matches!(place, Some(Position::TopRight));
        assert!(above(place(points[0])), "its neighbour stands beside it");
        assert!(place(points[1]).is_none(), "so does the label of the first");
        assert!(beside(place(points[2])));
    }

    #[test]
    fn a_label_stays_on_the_chart() {
        let at = (WIDTH - 20.0, 100.0);
        let mut labels = Labels::new(FRAME, [at].into_iter());
        let places = [Position::MiddleRight, Position::MiddleLeft];
        let place = labels.place(at, "Threshold", &places);
        assert!(matches!(place, Some(Position::MiddleLeft)));
    }
}
