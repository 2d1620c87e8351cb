// Tables: sorting by the heads, and the choice of columns.
function sortTable(button) {
  const head = button.closest("th"), table = button.closest("table");
  const heads = all("thead th", table), place = heads.indexOf(head);
  const lower = button.dataset.lower === "1";
  const before = head.getAttribute("aria-sort");
  // the better end comes first, then the other way round
  const first = lower || !all("tbody td[data-value]", table).some((cell) => at(cell.parentNode, place) === cell)
    ? "ascending" : "descending";
  const next = before === "none" ? first : before === "ascending" ? "descending" : "ascending";
  for (const other of heads) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", next);
  const sign = next === "ascending" ? 1 : -1;
  const body = table.tBodies[0], rows = [...body.rows];
  const keys = new Map(rows.map((row) => [row, key(at(row, place))]));
  rows.sort((a, b) => compare(keys.get(a), keys.get(b), sign));
  body.append(...rows);
}

function at(row, place) {
  return row.cells[place] || null;
}

function key(cell) {
  if (!cell) return null;
  if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
  if (cell.classList.contains("num")) return null;
  return cell.textContent.trim().toLowerCase();
}

// what has no value comes last, whichever way the others go
function compare(a, b, sign) {
  const none = (v) => v === null || v === "";
  if (none(a) || none(b)) return none(a) - none(b);
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), undefined, { numeric: true });
}

function chooseColumns(box, table) {
  if (box.dataset.class) {
    table.classList.toggle(box.dataset.class, box.dataset.off ? !box.checked : box.checked);
    return;
  }
  for (const cell of all('[data-group="' + box.dataset.group + '"]', table)) cell.hidden = !box.checked;
}

function startTables() {
  for (const button of all("button.sort")) button.addEventListener("click", () => sortTable(button));
  for (const field of all("fieldset.choose")) {
    const table = byId(field.dataset.for);
    for (const box of all("input", field)) {
      box.addEventListener("change", () => chooseColumns(box, table));
      chooseColumns(box, table);
    }
  }
}
