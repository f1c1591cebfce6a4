// Names at the points of a chart: each where it crosses no other name, no point and no line.

const LINE_HEIGHT = 15;

// Offsets of a name from its point, nearest first: right, left, above, below, and further out.
function* offsets(width) {
  for (const gap of [9, 24, 44, 70, 100, 135]) {
    yield [gap, 4];
    yield [-gap - width, 4];
    yield [-width / 2, -gap];
    yield [-width / 2, gap + 9];
    yield [gap * 0.7, -gap * 0.7];
    yield [-gap * 0.7 - width, -gap * 0.7];
    yield [gap * 0.7, gap * 0.7 + 9];
    yield [-gap * 0.7 - width, gap * 0.7 + 9];
  }
}

function overlap(a, b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

// Whether a segment passes through a box.
function crosses(box, [x1, y1, x2, y2]) {
  let [from, to] = [0, 1];
  for (const [start, change, least, most] of [
    [x1, x2 - x1, box.left, box.right],
    [y1, y2 - y1, box.top, box.bottom],
  ]) {
    if (change === 0) {
      if (start <= least || start >= most) return false;
    } else {
      const ends = [(least - start) / change, (most - start) / change].sort((a, b) => a - b);
      from = Math.max(from, ends[0]);
      to = Math.min(to, ends[1]);
    }
  }
  return from < to;
}

// Places names: `points` have x, y and name; `segments` are lines and `taken` texts that are there already;
// `width` measures a name. A name that is not beside its point has a leader.
function placeNames(points, bounds, segments, taken, width) {
  const boxes = [...taken];
  boxes.push(...points.map(({ x, y }) => ({ left: x - 7, right: x + 7, top: y - 7, bottom: y + 7 })));
  const leaders = [];
  const placed = [];
  for (const point of points) {
    const size = width(point.name);
    for (const [dx, dy] of offsets(size)) {
      const [left, base] = [point.x + dx, point.y + dy];
      const box = { left: left - 2, right: left + size + 2, top: base - 12, bottom: base + LINE_HEIGHT - 11 };
      const inside = box.left >= bounds.left && box.right <= bounds.right && box.top >= bounds.top && box.bottom <= bounds.bottom;
      if (!inside || boxes.some((other) => overlap(box, other))) continue;
      if (segments.concat(leaders).some((segment) => crosses(box, segment))) continue;
      const far = Math.hypot(dx < 0 ? dx + size : dx, dy - 4) > 20;
      const near = [Math.min(Math.max(point.x, box.left), box.right), Math.min(Math.max(point.y, box.top), box.bottom)];
      const leader = [point.x, point.y, ...near];
      if (far && placed.some((other) => crosses(other.box, leader))) continue;
      boxes.push(box);
      if (far) leaders.push(leader);
      placed.push({ name: point.name, left, base, box, leader: far ? leader : null });
      break;
    }
  }
  return placed;
}
