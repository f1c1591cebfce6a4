// Tables that are sorted by a click on a heading, and searched.

function sortable(table) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = html("button", { type: "button" }, ...heading.childNodes);
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const falling = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => ({ row, key: sortKey(row.cells[column]) }));
      rows.sort((a, b) => compare(a.key, b.key, falling ? -1 : 1));
      body.append(...rows.map(({ row }) => row));
    });
  });
}

// The number that a cell shows, or its text; none for a cell without a figure, which comes last.
function sortKey(cell) {
  const { value } = cell.dataset;
  if (value !== undefined) return value === "" ? null : Number(value);
  return cell.textContent.trim();
}

function compare(a, b, direction) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === "number" && typeof b === "number") return direction * (a - b);
  return direction * String(a).localeCompare(String(b), "en", { numeric: true });
}

function searchable(card) {
  const field = card.querySelector("input[type=search]");
  const count = card.querySelector(".found");
  const rows = [...card.querySelector("tbody").rows].map((row) => ({ row, text: row.textContent.toLowerCase() }));
  const search = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const { row, text } of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      found += row.hidden ? 0 : 1;
    }
    count.textContent = words.length > 0 ? `${grouped(found, 0)} of ${grouped(rows.length, 0)}` : "";
  };
  field.addEventListener("input", search);
}
