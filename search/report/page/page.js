"use strict";

// What a mark of a chart stands for is shown beside the pointer.
const tip = document.getElementById("tip");

function showTip(event) {
  const text = event.target.dataset ? event.target.dataset.tip : undefined;
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const box = tip.getBoundingClientRect();
  const left = Math.min(event.clientX + 14, window.innerWidth - box.width - 8);
  const below = event.clientY + 16 + box.height < window.innerHeight;
  tip.style.left = Math.max(8, left) + "px";
  tip.style.top = (below ? event.clientY + 16 : event.clientY - box.height - 12) + "px";
}

document.addEventListener("pointermove", showTip);
document.addEventListener("pointerdown", showTip);

// A table is sorted by the column whose header is pressed, numbers as numbers, empty cells last.
function value(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = Number(text.replace(/[,%]/g, ""));
  return text === "" ? null : Number.isNaN(number) ? text : number;
}

function order(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
  return typeof a === "number" ? -1 : 1;
}

function sort(table, header, column) {
  const down = header.getAttribute("aria-sort") === "ascending";
  const sign = down ? -1 : 1;
  const rows = Array.from(table.tBodies[0].rows);
  rows.sort((a, b) => {
    const one = value(a, column), other = value(b, column);
    return one === null || other === null ? order(one, other) : sign * order(one, other);
  });
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  table.tBodies[0].append(...rows);
}

function prepareTables() {
  for (const table of document.querySelectorAll("table.data")) {
    Array.from(table.tHead.rows[0].cells).forEach((header, column) => {
      const button = document.createElement("button");
      button.textContent = header.textContent;
      button.addEventListener("click", () => sort(table, header, column));
      header.replaceChildren(button);
    });
  }
}

prepareTables();
