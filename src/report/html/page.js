"use strict";
const charts = JSON.parse(document.getElementById("charts").textContent);
const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
// Pixels between the margins of a printed page, less those of a chart's frame.
const PRINTED = 660;
let chosen = null;
let printing = false;
let following = false;

function template(dark) {
  const [ink, grid, ground] = dark ? ["#cfd6de", "#2d333b", "#22272e"] : ["#30363d", "#e3e7eb", "#ffffff"];
  const axis = { gridcolor: grid, linecolor: grid, tickcolor: grid, zerolinecolor: grid };
  return {
    layout: {
      font: { color: ink, size: 12, family: "system-ui, -apple-system, Segoe UI, Roboto, Arial, sans-serif" },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      xaxis: axis, yaxis: axis,
      hoverlabel: { bgcolor: ground, bordercolor: grid, font: { color: ink }, align: "left" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: "#8a8f98", activecolor: ink },
    },
  };
}

function draw() {
  const dark = !printing && (chosen ?? prefersDark.matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  for (const chart of charts) {
    const layout = { ...chart.layout, template: template(dark), autosize: !printing };
    layout.width = printing ? PRINTED : undefined;
    Plotly.react(chart.id, chart.data, layout, config);
  }
}

// Charts over the same time are looked at together.
function follow(chart, change) {
  const range = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
  if (following || (range[0] === undefined && !change["xaxis.autorange"])) return;
  following = true;
  const others = charts.filter((other) => other.over_time && other !== chart);
  const update = range[0] === undefined ? { "xaxis.autorange": true } : { "xaxis.range": range };
  Promise.all(others.map((other) => Plotly.relayout(other.id, update))).finally(() => (following = false));
}

draw();
for (const chart of charts.filter((chart) => chart.over_time)) {
  document.getElementById(chart.id).on("plotly_relayout", (change) => follow(chart, change));
}
prefersDark.addEventListener("change", draw);
document.getElementById("theme").addEventListener("click", () => {
  chosen = !(chosen ?? prefersDark.matches);
  draw();
});
addEventListener("beforeprint", () => { printing = true; draw(); });
addEventListener("afterprint", () => { printing = false; draw(); });
