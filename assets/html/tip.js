// The label at the pointer.

class Tip {
  constructor() {
    this.element = html("div", { class: "tip", role: "status" });
    this.element.hidden = true;
    document.body.append(this.element);
  }

  show(event, { title, rows }) {
    const lines = title.split("\n").map((line, index) => html("div", { class: index === 0 ? "head" : "line" }, line));
    const values = rows.map(({ colour, name, value }) => {
      const swatch = html("span", { class: "swatch area" });
      swatch.style.setProperty("--colour", colour);
      return html("div", { class: "row" }, swatch, html("span", {}, name), html("b", {}, value));
    });
    this.element.replaceChildren(...lines, ...values);
    this.element.hidden = false;
    const { offsetWidth, offsetHeight } = this.element;
    const right = event.clientX + 16 + offsetWidth > innerWidth;
    const left = right ? Math.max(4, event.clientX - 16 - offsetWidth) : event.clientX + 16;
    const top = Math.max(4, Math.min(event.clientY + 12, innerHeight - offsetHeight - 4));
    this.element.style.transform = `translate(${left}px, ${top}px)`;
  }

  hide() {
    this.element.hidden = true;
  }
}
