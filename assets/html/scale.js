// From values to pixels, and where an axis has its ticks.

const TIME_STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 345600, 604800,
];
const DURATIONS = [
  1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1200, 3600,
  7200, 18000, 43200, 86400, 172800, 432000, 864000,
];

function linear(domain, range) {
  const [from, to] = domain;
  const span = to - from || 1;
  const scale = (value) => range[0] + ((value - from) / span) * (range[1] - range[0]);
  scale.invert = (pixel) => from + ((pixel - range[0]) / (range[1] - range[0])) * span;
  return scale;
}

function logarithmic(domain, range) {
  const inner = linear(domain.map(Math.log10), range);
  const scale = (value) => inner(Math.log10(Math.max(value, domain[0] / 1000)));
  scale.invert = (pixel) => 10 ** inner.invert(pixel);
  return scale;
}

// 1, 2 or 5 times a power of ten: the least step that needs at most `most` of them.
function niceStep(span, most) {
  const rough = span / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough * (1 - 1e-9));
}

function multiples(from, to, step) {
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  // Adding zero keeps −0 out.
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => (first + index) * step + 0);
}

// Of an axis: its ticks and, where they are evenly spaced, their distance.
function ticks(axis, domain, most) {
  const [from, to] = domain;
  if (axis.log) {
    const steps = axis.format === "duration" ? DURATIONS : decades(from, to);
    const inside = steps.filter((value) => value >= from * 0.999 && value <= to * 1.001);
    const stride = Math.ceil(inside.length / most);
    return { values: inside.filter((_, index) => index % stride === 0) };
  }
  if (axis.format === "time") {
    const rough = (to - from) / Math.max(1, most);
    const step = rough < 1 ? niceStep(to - from, most) : TIME_STEPS.find((step) => step >= rough) ?? niceStep((to - from) / 86400, most) * 86400;
    return { values: multiples(from, to, step), step };
  }
  let step = niceStep(to - from, most);
  if (axis.whole) step = Math.max(1, step);
  return { values: multiples(from, to, step), step };
}

function decades(from, to) {
  const steps = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.ceil(Math.log10(to)); power += 1) {
    for (const factor of [1, 2, 5]) steps.push(Number(`${factor}e${power}`));
  }
  return steps;
}

// The text at a tick of a time axis: short, since the ticks say the rest.
function timeTick(seconds, step) {
  if (seconds === 0) return "0";
  if (step >= 86400 || seconds % 86400 === 0) return `${Number((seconds / 86400).toFixed(2))} d`;
  if (step >= 3600 || seconds % 3600 === 0) {
    const days = Math.floor(seconds / 86400);
    const hours = `${Number(((seconds - days * 86400) / 3600).toFixed(2))} h`;
    return days > 0 && step < 86400 ? `${days} d ${hours}` : hours;
  }
  if (step >= 60 || seconds % 60 === 0) {
    const hours = Math.floor(seconds / 3600);
    const minutes = `${Number(((seconds - hours * 3600) / 60).toFixed(2))} min`;
    return hours > 0 ? `${hours} h ${minutes}` : minutes;
  }
  return `${Number(seconds.toPrecision(4))} s`;
}
