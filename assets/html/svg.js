// Elements, and the paths that series are drawn as.

const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function html(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// A colour of the page by its name: see style.css, which has one of each for light and for dark.
function paint(colour) {
  return `var(--${colour})`;
}

const place = (value) => Math.round(value * 10) / 10;

// Runs of points that have a value.
function runs(xs, ys) {
  const found = [];
  let run = [];
  for (let index = 0; index < xs.length; index += 1) {
    if (ys[index] === null) {
      if (run.length > 0) found.push(run);
      run = [];
    } else {
      run.push(index);
    }
  }
  if (run.length > 0) found.push(run);
  return found;
}

function along(run, x, y, step) {
  let path = "";
  run.forEach((index, position) => {
    const [px, py] = [place(x(index)), place(y(index))];
    if (position === 0) path += `${px},${py}`;
    else path += step ? `H${px}V${py}` : `L${px},${py}`;
  });
  return path;
}

// A line through points, or steps from one to the next; a point without a value interrupts it.
function linePath(xs, ys, x, y, step) {
  const parts = runs(xs, ys).map((run) => {
    // A value between two gaps is a dot.
    const dot = run.length === 1 ? "h0.1" : "";
    return `M${along(run, (index) => x(xs[index]), (index) => y(ys[index]), step)}${dot}`;
  });
  return parts.join("");
}

// What is between two lines.
function areaPath(xs, lows, highs, x, y, step) {
  const parts = runs(xs, highs).map((run) => {
    const top = along(run, (index) => x(xs[index]), (index) => y(highs[index]), step);
    let bottom = "";
    for (let position = run.length - 1; position >= 0; position -= 1) {
      const index = run[position];
      const [px, py] = [place(x(xs[index])), place(y(lows[index]))];
      if (!step) bottom += `L${px},${py}`;
      else bottom += position === run.length - 1 ? `V${py}` : `V${py}H${px}`;
    }
    return `M${top}${bottom}Z`;
  });
  return parts.join("");
}

// The upper edge of what is between two lines, where there is anything between them.
function edgePath(xs, lows, highs, x, y, step) {
  const tall = (index) => highs[index] !== null && highs[index] > lows[index];
  let path = "";
  for (let index = 0; index < xs.length; index += 1) {
    if (!tall(index)) continue;
    const [px, py] = [place(x(xs[index])), place(y(highs[index]))];
    const joined = index > 0 && tall(index - 1);
    if (!joined) path += `M${px},${py}`;
    else path += step ? `V${py}` : `L${px},${py}`;
    if (step && index + 1 < xs.length) path += `H${place(x(xs[index + 1]))}`;
  }
  return path;
}
