// Starts the page: its theme, its charts, its tables.

const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function theme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}

function start() {
  const page = { charts: [], tip: new Tip() };
  for (const spec of JSON.parse(document.getElementById("charts").textContent)) {
    page.charts.push(new Chart(document.getElementById(spec.id), spec, page));
  }
  const draw = () => page.charts.forEach((chart) => chart.render());
  draw();
  document.querySelectorAll("table.sortable").forEach(sortable);
  document.querySelectorAll(".searchable").forEach(searchable);

  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) requestAnimationFrame(draw);
    width = innerWidth;
  });
  let chosen = null;
  prefersDark.addEventListener("change", () => theme(chosen ?? prefersDark.matches));
  document.getElementById("theme").addEventListener("click", () => {
    chosen = document.documentElement.dataset.theme !== "dark";
    theme(chosen);
  });
  addEventListener("beforeprint", () => theme(false));
  addEventListener("afterprint", () => theme(chosen ?? prefersDark.matches));
  document.documentElement.dataset.drawn = "yes";
}

theme(prefersDark.matches);
start();
