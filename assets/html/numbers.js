// How numbers read on axes and in hover labels. The words and tables of a page come formatted.

const NONE = "–";

function decimals(value, step) {
  const size = Math.abs(step ?? value);
  if (size === 0 || size >= 100) return 0;
  return Math.min(6, Math.max(0, Math.ceil(-Math.log10(size) - 1e-9) + (step === undefined ? 2 : 0)));
}

// Digits that a step of an axis needs: 0.25 needs two, 0.5 one, 20 none.
function stepDecimals(step) {
  for (let digits = 0; digits < 7; digits += 1) {
    if (Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) < 1e-6) return digits;
  }
  return 7;
}

function grouped(value, digits) {
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function plain(value, step) {
  if (step !== undefined) return grouped(value, stepDecimals(step));
  const size = Math.abs(value);
  if (size >= 100 || Number.isInteger(value)) return grouped(value, 0);
  return grouped(value, size >= 10 ? 1 : size >= 1 ? 2 : decimals(value));
}

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"], [0.001, "ms"], [0.000001, "µs"]];

// A length of time in one unit: `350 ms`, `1.5 s`, `80 min`.
function duration(seconds) {
  if (seconds === 0) return "0 s";
  const size = Math.abs(seconds);
  // Whole minutes, hours and days are told as such; others only where there are two or more.
  const suits = ([unit]) => size >= unit * (unit <= 1 || size % unit === 0 ? 1 : 2) - 1e-12;
  const [unit, name] = UNITS.find(suits) ?? UNITS[5];
  const value = seconds / unit;
  return `${plain(Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3)))} ${name}`;
}

// An instant of a run in its two largest units: `1 d 6 h`, `15 min 30 s`.
function instant(seconds) {
  if (seconds < 60) return `${Number(seconds.toPrecision(3))} s`;
  let rest = Math.round(seconds);
  const parts = [];
  for (const [unit, name] of UNITS.slice(0, 4)) {
    const count = Math.floor(rest / unit);
    rest -= count * unit;
    if (count > 0) parts.push(`${count} ${name}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

// By the name that an axis has for its numbers.
const FORMATS = {
  number: plain,
  percent: (value, step) => `${plain(value, step)} %`,
  dollars: (value, step) => {
    const digits = step === undefined ? (Math.abs(value) < 100 ? 2 : 0) : stepDecimals(step);
    return `${value < 0 ? "−" : ""}$${grouped(Math.abs(value), digits)}`;
  },
  duration,
  time: instant,
};

function format(kind, value, step) {
  return value === null || value === undefined ? NONE : FORMATS[kind](value, step);
}
