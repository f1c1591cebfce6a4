// One chart: its axes, its series, its legend; what the pointer shows, and how it is zoomed.

const MARK_STRIP = 20;
const NEAR = 24;

class Chart {
  constructor(figure, spec, page) {
    this.figure = figure;
    this.spec = spec;
    this.page = page;
    this.plot = figure.querySelector(".plot");
    this.hidden = new Set();
    this.view = { x: null, y: null };
    this.id = figure.id;
    this.legend();
    this.tools();
    this.listen();
  }

  get overTime() {
    return this.spec.over_time === true;
  }

  shown() {
    return this.spec.series.filter((series) => !this.hidden.has(series.name));
  }

  // Extents

  xDomain() {
    if (this.view.x) return this.view.x;
    if (this.spec.x.range) return this.spec.x.range;
    return padded(this.spec.x, this.shown().flatMap((series) => series.x ?? []));
  }

  yDomain(stacks) {
    const axis = this.spec.y;
    if (this.view.y) return this.view.y;
    if (axis.range) return axis.range;
    const [from, to] = this.xDomain();
    const values = [];
    for (const series of this.shown()) {
      if (series.kind === "rule" && series.y !== undefined) values.push(series.y);
      if (!Array.isArray(series.y)) continue;
      const tops = stacks.get(series)?.highs ?? series.y;
      series.x.forEach((x, index) => {
        if (x >= from && x <= to && tops[index] !== null) values.push(tops[index]);
      });
      // A step that began before the view goes on in it.
      const before = series.step ? series.x.findLastIndex((x) => x < from) : -1;
      if (before >= 0 && tops[before] !== null) values.push(tops[before]);
    }
    return padded(axis, values);
  }

  // Lower and upper edges of what is stacked.
  stacks() {
    const stacks = new Map();
    let base = null;
    for (const series of this.shown().filter((series) => series.stack)) {
      const lows = base ?? series.y.map(() => 0);
      const highs = series.y.map((value, index) => (value === null ? null : lows[index] + value));
      stacks.set(series, { lows, highs });
      base = highs.map((value, index) => value ?? lows[index]);
    }
    return stacks;
  }

  // Drawing

  render() {
    const width = this.plot.clientWidth;
    const height = this.plot.clientHeight;
    if (width === 0) return;
    const { spec } = this;
    const stacks = this.stacks();
    const marks = this.shown().some((series) => series.kind === "marks");
    const xDomain = this.xDomain();
    const yDomain = this.yDomain(stacks);
    const top = (spec.y.title ? 20 : 8) + (marks ? MARK_STRIP : 0);
    const bottom = height - (spec.x.title ? 40 : 24);
    const yTicks = ticks(spec.y, yDomain, Math.max(2, Math.floor((bottom - top) / 38)));
    const yTexts = yTicks.values.map((value) => format(spec.y.format, value, spec.y.log ? undefined : yTicks.step));
    const left = Math.max(28, 12 + Math.max(0, ...yTexts.map((text) => textWidth(text))));
    const right = width - 14;
    this.box = { left, right, top, bottom };
    const y = (spec.y.log ? logarithmic : linear)(yDomain, [bottom, top]);
    const x = (spec.x.log ? logarithmic : linear)(xDomain, [left, right]);
    Object.assign(this, { x, y, stacked: stacks, taken: [] });

    const clip = `${this.id}-clip`;
    const room = { x: left, y: top - 1, width: Math.max(0, right - left), height: bottom - top + 2 };
    const drawing = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": spec.title });
    drawing.append(svg("defs", {}, svg("clipPath", { id: clip }, svg("rect", room))));
    const grid = svg("g", { class: "grid" });
    const texts = svg("g", { class: "ticks" });
    yTicks.values.forEach((value, index) => {
      const at = place(y(value));
      grid.append(svg("line", { x1: left, x2: right, y1: at, y2: at }));
      texts.append(svg("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, yTexts[index]));
    });
    this.xTicks(grid, texts, xDomain);
    if (spec.y.title) texts.append(svg("text", { class: "title", x: 0, y: 11 }, spec.y.title));
    if (spec.x.title) {
      texts.append(svg("text", { class: "title", x: right, y: height - 4, "text-anchor": "end" }, spec.x.title));
    }
    drawing.append(grid);
    const inside = svg("g", { "clip-path": `url(#${clip})` });
    const above = svg("g", {});
    for (const series of this.shown()) this.draw(series, inside, above);
    this.cross = svg("line", { class: "cross", y1: top, y2: bottom, visibility: "hidden" });
    this.brush = svg("rect", { class: "brush", visibility: "hidden" });
    drawing.append(inside, svg("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }), texts, above, this.cross, this.brush);
    this.plot.replaceChildren(drawing);
    this.figure.classList.toggle("zoomed", this.view.x !== null || this.view.y !== null);
  }

  xTicks(grid, texts, domain) {
    const { left, right, top, bottom } = this.box;
    const time = this.spec.x.format === "time";
    const found = ticks(this.spec.x, domain, Math.max(2, Math.floor((right - left) / (time ? 84 : 74))));
    let free = -Infinity;
    for (const value of found.values) {
      const at = place(this.x(value));
      const text = time ? timeTick(value, found.step) : format(this.spec.x.format, value, this.spec.x.log ? undefined : found.step);
      const half = textWidth(text) / 2;
      grid.append(svg("line", { x1: at, x2: at, y1: top, y2: bottom }));
      const middle = Math.min(at, right + 12 - half);
      if (middle - half < free) continue;
      free = middle + half + 8;
      texts.append(svg("text", { x: middle, y: bottom + 17, "text-anchor": "middle" }, text));
    }
  }

  draw(series, inside, above) {
    const { x, y, box } = this;
    const colour = paint(series.colour);
    const data = { "data-name": series.name, class: `series ${series.kind}` };
    if (series.kind === "area") {
      const { lows, highs } = this.stacked.get(series) ?? { lows: series.y.map(() => 0), highs: series.y };
      inside.append(svg("path", { ...data, d: areaPath(series.x, lows, highs, x, y, series.step), fill: colour }));
      inside.append(svg("path", { class: "edge", d: edgePath(series.x, lows, highs, x, y, series.step), stroke: colour }));
    } else if (series.kind === "line") {
      const path = linePath(series.x, series.y, x, y, series.step);
      inside.append(svg("path", { ...data, d: path, stroke: colour, "stroke-dasharray": series.dash ? "2 4" : undefined }));
    } else if (series.kind === "band") {
      for (const [from, to] of series.spans) {
        inside.append(svg("rect", { ...data, x: x(from), y: box.top, width: Math.max(1, x(to) - x(from)), height: box.bottom - box.top, fill: colour }));
      }
    } else if (series.kind === "rule") {
      this.drawRule(series, inside, above, data, colour);
    } else if (series.kind === "marks") {
      this.drawMarks(series, above, data, colour);
    } else if (series.kind === "points") {
      this.drawPoints(series, inside, above, data, colour);
    }
  }

  drawRule(series, inside, above, data, colour) {
    const { left, right, top, bottom } = this.box;
    const upright = series.at !== undefined;
    const at = upright ? this.x(series.at) : this.y(series.y);
    const ends = upright ? { x1: at, x2: at, y1: top, y2: bottom } : { x1: left, x2: right, y1: at, y2: at };
    inside.append(svg("line", { ...data, ...ends, stroke: colour, "stroke-dasharray": "6 4" }));
    const within = upright ? at >= left && at <= right : at >= top && at <= bottom;
    if (!within || series.label === false) return;
    const width = textWidth(series.name);
    const where = upright
      ? { x: at + width + 10 < right ? at + 5 : at - width - 5, y: top + 12 }
      : { x: right - 2 - width, y: at > top + 16 ? at - 5 : at + 14 };
    this.taken.push({ left: where.x - 2, right: where.x + width + 2, top: where.y - 12, bottom: where.y + 4 });
    above.append(svg("text", { class: "name", ...where }, series.name));
  }

  drawMarks(series, above, data, colour) {
    const { left, right, top } = this.box;
    const shapes = { up: "M0-5 5 4H-5Z", down: "M0 5 5-4H-5Z", cross: "M-4-4 4 4M4-4-4 4" };
    const group = svg("g", { ...data, fill: colour, stroke: colour });
    let free = -Infinity;
    series.drawn = [];
    for (let index = 0; index < series.x.length; index += 1) {
      const at = this.x(series.x[index]);
      if (at < left - 1 || at > right + 1) continue;
      if (at < free) continue;
      free = at + 11;
      series.drawn.push({ at, index });
      group.append(svg("path", { d: shapes[series.shape], transform: `translate(${place(at)} ${top - MARK_STRIP + 10 + series.row * 4})` }));
    }
    above.append(group);
  }

  drawPoints(series, inside, above, data, colour) {
    const { x, y } = this;
    if (series.joined) {
      const path = linePath(series.x, series.y, x, y, true);
      inside.append(svg("path", { class: "series line", d: path, stroke: colour }));
    }
    const group = svg("g", { ...data });
    series.x.forEach((value, index) => {
      const at = { cx: place(x(value)), cy: place(y(series.y[index])), r: series.size ?? 4 };
      const hollow = series.hollow === true;
      group.append(svg("circle", { ...at, fill: hollow ? "var(--sheet)" : colour, stroke: colour, "stroke-width": hollow ? 2 : 1 }));
    });
    const named = this.spec.names === true;
    (named ? above : inside).append(group);
    // Names come last, when every point and line is known.
    if (named && series === this.shown().filter((it) => it.kind === "points").at(-1)) this.drawNames(above);
  }

  drawNames(above) {
    const { x, y, box } = this;
    const points = [];
    const segments = [];
    for (const series of this.shown()) {
      if (series.kind === "rule") {
        if (series.at !== undefined) segments.push([x(series.at), box.top, x(series.at), box.bottom]);
        else segments.push([box.left, y(series.y), box.right, y(series.y)]);
      }
      if (series.kind !== "points") continue;
      series.x.forEach((value, index) => {
        const at = { x: x(value), y: y(series.y[index]), name: series.names[index] };
        const inside = at.x >= box.left && at.x <= box.right && at.y >= box.top - 1 && at.y <= box.bottom + 1;
        if (inside && at.name) points.push(at);
        if (series.joined && index > 0) {
          const before = [x(series.x[index - 1]), y(series.y[index - 1])];
          segments.push([...before, at.x, before[1]], [at.x, before[1], at.x, at.y]);
        }
      });
    }
    for (const { name, left, base, leader } of placeNames(points, box, segments, this.taken, textWidth)) {
      if (leader) {
        const [x1, y1, x2, y2] = leader;
        above.prepend(svg("line", { class: "leader", x1, y1, x2, y2 }));
      }
      above.append(svg("text", { class: "name", x: place(left), y: place(base) }, name));
    }
  }

  // Legend and tools

  legend() {
    const entries = this.spec.series.filter((series) => series.legend !== false);
    if (entries.length < 2 || this.spec.legend === false) return;
    const list = html("div", { class: "legend" });
    for (const series of entries) {
      const look = series.dash || series.kind === "rule" ? "dashed" : `${series.kind} ${series.shape ?? ""}`;
      const swatch = html("span", { class: `swatch ${look.trim()}` });
      swatch.style.setProperty("--colour", paint(series.colour));
      const button = html("button", { type: "button", "aria-pressed": "true", title: "Show or hide" }, swatch, series.name);
      button.addEventListener("click", () => {
        const shown = this.hidden.delete(series.name);
        if (!shown) this.hidden.add(series.name);
        button.setAttribute("aria-pressed", String(shown));
        this.render();
      });
      list.append(button);
    }
    this.plot.before(list);
  }

  tools() {
    const reset = html("button", { type: "button", class: "reset" }, "Reset zoom");
    reset.addEventListener("click", () => this.zoom(null, null));
    const save = html("button", { type: "button" }, "Save SVG");
    save.addEventListener("click", () => this.save());
    this.figure.prepend(html("div", { class: "tools" }, reset, save));
  }

  // The drawing as a file, with the colours that it has on the page.
  save() {
    const drawing = this.plot.querySelector("svg");
    const copy = drawing.cloneNode(true);
    const originals = drawing.querySelectorAll("*");
    copy.querySelectorAll("*").forEach((element, index) => {
      const style = getComputedStyle(originals[index]);
      for (const name of ["fill", "stroke", "fill-opacity", "stroke-width", "stroke-dasharray", "font", "visibility"]) {
        element.style.setProperty(name, style.getPropertyValue(name));
      }
    });
    copy.setAttribute("xmlns", SVG);
    copy.style.background = getComputedStyle(this.figure).backgroundColor;
    const link = html("a", { download: `${this.spec.title.replaceAll(/[^\w-]+/g, "-").toLowerCase()}.svg` });
    link.href = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
    link.click();
    URL.revokeObjectURL(link.href);
  }

  // Pointer

  listen() {
    const { plot } = this;
    let start = null;
    const at = (event) => {
      const room = plot.getBoundingClientRect();
      return { x: event.clientX - room.left, y: event.clientY - room.top };
    };
    plot.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse" && this.box) this.point(at(event), event);
      if (event.pointerType === "mouse" && event.button === 0 && this.box) {
        start = at(event);
        plot.setPointerCapture(event.pointerId);
        event.preventDefault();
      }
    });
    plot.addEventListener("pointermove", (event) => {
      if (!this.box) return;
      if (start) this.select(start, at(event));
      this.point(at(event), event);
    });
    plot.addEventListener("pointerup", (event) => {
      if (!start) return;
      const [from, to] = [start, at(event)];
      start = null;
      this.brush.setAttribute("visibility", "hidden");
      this.zoomTo(from, to);
    });
    plot.addEventListener("pointerleave", () => this.leave());
    plot.addEventListener("dblclick", () => this.zoom(null, null));
  }

  select(from, to) {
    const { left, right, top, bottom } = this.box;
    const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
    const [x1, x2] = [from.x, to.x].map((value) => clamp(value, left, right)).sort((a, b) => a - b);
    const [y1, y2] = this.overTime ? [top, bottom] : [from.y, to.y].map((value) => clamp(value, top, bottom)).sort((a, b) => a - b);
    for (const [name, value] of Object.entries({ x: x1, y: y1, width: x2 - x1, height: y2 - y1, visibility: "visible" })) {
      this.brush.setAttribute(name, value);
    }
  }

  zoomTo(from, to) {
    const { left, right, top, bottom } = this.box;
    const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
    const [x1, x2] = [from.x, to.x].map((value) => clamp(value, left, right)).sort((a, b) => a - b);
    if (x2 - x1 < 5) return;
    const x = [this.x.invert(x1), this.x.invert(x2)];
    if (this.overTime) {
      this.zoom(x, null);
      return;
    }
    const [y1, y2] = [from.y, to.y].map((value) => clamp(value, top, bottom)).sort((a, b) => b - a);
    if (y1 - y2 >= 5) this.zoom(x, [this.y.invert(y1), this.y.invert(y2)]);
  }

  // Charts over the same time are looked at together.
  zoom(x, y) {
    for (const chart of this.overTime ? this.page.charts.filter((chart) => chart.overTime) : [this]) {
      chart.view = { x, y };
      chart.render();
    }
  }

  leave() {
    this.cross?.setAttribute("visibility", "hidden");
    this.page.tip.hide();
  }

  point(at, event) {
    const { left, right, top, bottom } = this.box;
    this.cross.setAttribute("visibility", "hidden");
    const mark = at.y < top ? this.markAt(at) : null;
    if (mark) {
      this.page.tip.show(event, mark);
    } else if (at.x < left || at.x > right || at.y > bottom) {
      this.page.tip.hide();
    } else if (this.spec.series.some((series) => series.kind === "points")) {
      const near = this.pointAt(at);
      if (near) this.page.tip.show(event, near);
      else this.page.tip.hide();
    } else {
      this.page.tip.show(event, this.valuesAt(this.x.invert(at.x)));
      this.cross.setAttribute("x1", at.x);
      this.cross.setAttribute("x2", at.x);
      this.cross.setAttribute("visibility", "visible");
    }
  }

  markAt(at) {
    let best = null;
    for (const series of this.shown().filter((series) => series.kind === "marks")) {
      for (const { at: x, index } of series.drawn ?? []) {
        const far = Math.abs(x - at.x) + Math.abs(series.row) * 0.1;
        if (far < 9 && far < (best?.far ?? Infinity)) best = { far, title: series.texts[index], rows: [] };
      }
    }
    return best;
  }

  pointAt(at) {
    let best = null;
    for (const series of this.shown().filter((series) => series.kind === "points")) {
      series.x.forEach((x, index) => {
        const far = Math.hypot(this.x(x) - at.x, this.y(series.y[index]) - at.y);
        if (far < NEAR && far < (best?.far ?? Infinity)) best = { far, title: series.texts[index], rows: [] };
      });
    }
    return best;
  }

  valuesAt(x) {
    const rows = [];
    for (const series of this.shown()) {
      if (!Array.isArray(series.y)) continue;
      const index = series.step ? series.x.findLastIndex((other) => other <= x) : nearest(series.x, x);
      const value = index >= 0 ? series.y[index] : null;
      if (value === null && series.optional) continue;
      rows.push({ colour: paint(series.colour), name: series.name, value: format(this.spec.y.format, value) });
    }
    const stacked = this.shown().some((series) => series.stack);
    return { title: format(this.spec.x.format, x), rows: stacked ? rows.reverse() : rows };
  }
}

function nearest(xs, x) {
  let [low, high] = [0, xs.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle;
    else high = middle;
  }
  return high >= 0 && Math.abs(xs[high] - x) < Math.abs(xs[low] - x) ? high : low;
}

// From and to, with a little room.
function padded(axis, values) {
  const used = values.filter((value) => value !== null && (!axis.log || value > 0));
  if (used.length === 0) return axis.log ? [0.01, 10] : [0, 1];
  let [from, to] = [Math.min(...used), Math.max(...used)];
  if (axis.log) return [from * 0.8, Math.max(to * 1.25, from * 3)];
  if (axis.zero) return [0, to > 0 ? to * 1.06 : 1];
  const room = (to - from || Math.abs(to) || 1) * 0.06;
  return [from - room, to + room];
}

const measure = document.createElement("canvas").getContext("2d");

function textWidth(text) {
  measure.font = "12px system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif";
  return measure.measureText(text).width;
}
