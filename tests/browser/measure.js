// Added to a page by the browser test: measures what a person would see, in light and in dark.
(() => {
"use strict";

function luminance([red, green, blue]) {
  const linear = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear(red / 255) + 0.7152 * linear(green / 255) + 0.0722 * linear(blue / 255);
}

function contrast(one, other) {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

function rgb(colour) {
  const numbers = colour.match(/^rgba?\(([^)]*)\)$/)?.[1].split(/[ ,/]+/).map(Number);
  return numbers && (numbers[3] ?? 1) > 0.99 ? numbers.slice(0, 3) : null;
}

function ground(element) {
  for (let at = element; at; at = at.parentElement) {
    const found = rgb(getComputedStyle(at).backgroundColor);
    if (found) return found;
  }
  return [255, 255, 255];
}

function visible(element) {
  const room = element.getBoundingClientRect();
  const style = getComputedStyle(element);
  return room.width > 0 && room.height > 0 && style.visibility !== "hidden" && style.display !== "none";
}

function measureTexts(theme, problems) {
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !visible(element)) continue;
    const style = getComputedStyle(element);
    const ink = rgb(element instanceof SVGElement ? style.fill : style.color);
    const ratio = ink ? contrast(ink, ground(element)) : 0;
    if (ratio < 4.5) problems.push(`${theme}: text "${walker.currentNode.data.trim().slice(0, 30)}" has contrast ${ratio.toFixed(2)}`);
  }
}

function measureLines(theme, problems) {
  for (const element of document.querySelectorAll(".chart .line, .chart .edge, .chart .rule, .chart circle, .chart .marks path, .chart .axis")) {
    const style = getComputedStyle(element);
    const ink = rgb(style.stroke) ?? rgb(style.fill);
    const ratio = ink ? contrast(ink, ground(element)) : 0;
    if (ratio < 3) problems.push(`${theme}: ${element.getAttribute("class")} ${element.dataset.name} has contrast ${ratio.toFixed(2)}`);
  }
}

function measureRoom(problems) {
  const page = document.scrollingElement;
  if (page.scrollWidth > innerWidth) problems.push(`the page is ${page.scrollWidth} wide in ${innerWidth}`);
  for (const card of document.querySelectorAll("figure, .tile, .sheet, header")) {
    if (card.scrollWidth > card.clientWidth + 1) problems.push(`overflow: ${card.textContent.trim().slice(0, 40)}`);
  }
  for (const drawing of document.querySelectorAll("svg.chart")) {
    const room = drawing.getBoundingClientRect();
    const texts = [...drawing.querySelectorAll("text")].map((text) => ({ text: text.textContent, box: text.getBoundingClientRect() }));
    for (const { text, box } of texts) {
      const inside = box.left >= room.left - 2 && box.right <= room.right + 2 && box.top >= room.top - 2 && box.bottom <= room.bottom + 2;
      if (!inside) problems.push(`"${text}" is not inside its chart`);
    }
    texts.forEach(({ text, box }, index) => {
      for (const other of texts.slice(index + 1)) {
        const apart = box.right <= other.box.left + 1 || other.box.right <= box.left + 1 || box.bottom <= other.box.top + 4 || other.box.bottom <= box.top + 4;
        if (!apart) problems.push(`"${text}" covers "${other.text}"`);
      }
    });
  }
}

function measure() {
  const problems = [];
  for (const dark of [false, true]) {
    theme(dark);
    measureTexts(dark ? "dark" : "light", problems);
    measureLines(dark ? "dark" : "light", problems);
  }
  measureRoom(problems);
  const figures = [...document.querySelectorAll("figure")];
  const drawn = figures.filter((figure) => figure.querySelector(".chart .series"));
  parent.postMessage({ problems, charts: figures.length, drawn: drawn.length }, "*");
}

measure();
})();
