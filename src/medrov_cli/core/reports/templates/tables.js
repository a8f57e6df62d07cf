(() => {
  const FILTER_FROM = 12;
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  };
  const sortBy = (table, column) => {
    const header = table.tHead.rows[0].cells[column];
    const body = table.tBodies[0];
    const rows = Array.from(body.rows);
    const numeric = rows.some(row => valueOf(row, column) !== null);
    const before = header.getAttribute("aria-sort");
    const down = before === null ? numeric : before === "ascending";
    const compare = (a, b) => {
      if (!numeric) {
        return a.cells[column].textContent.localeCompare(b.cells[column].textContent, "en", {numeric: true});
      }
      return valueOf(a, column) - valueOf(b, column);
    };
    const known = rows.filter(row => !numeric || valueOf(row, column) !== null);
    const unknown = rows.filter(row => numeric && valueOf(row, column) === null);
    known.sort((a, b) => down ? compare(b, a) : compare(a, b));
    body.append(...known, ...unknown);
    for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
  };
  const addFilter = table => {
    const rows = Array.from(table.tBodies[0].rows);
    const label = document.createElement("label");
    const input = document.createElement("input");
    const count = document.createElement("span");
    input.type = "search";
    count.setAttribute("role", "status");
    label.className = "filter";
    label.append("Filter", input, count);
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase();
      for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
      count.textContent = wanted ? `${rows.filter(row => !row.hidden).length} of ${rows.length} rows` : "";
    });
    table.parentElement.before(label);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    Array.from(table.tHead.rows[0].cells).forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      button.addEventListener("click", () => sortBy(table, column));
      header.append(button);
    });
    if (table.tBodies[0].rows.length >= FILTER_FROM) addFilter(table);
  }
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details")) part.open = true;
  });
  document.documentElement.dataset.script = "ready";
})();
