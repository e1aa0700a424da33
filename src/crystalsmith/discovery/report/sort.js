"use strict";
// Headings of the table become buttons that sort its rows; a second click turns the order round.
const table = document.querySelector("table.sortable");
const value = (row, column) => {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent.trim();
  if (!cell.classList.contains("number")) return text;
  const number = Number(text.replace(/,/g, ""));
  return text === "" || Number.isNaN(number) ? null : number;
};
const before = (a, b, sign) => {
  if (a === null || b === null) return (a === null) - (b === null); // what is not known stands last
  return sign * (typeof a === "number" ? a - b : a.localeCompare(b));
};
for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows].map((row) => [value(row, column), row]);
    rows.sort((a, b) => before(a[0], b[0], sign));
    table.tBodies[0].append(...rows.map((pair) => pair[1]));
  });
}
