"""How the page looks and what its script does. It is readable without either."""

from __future__ import annotations

CONTENT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)
"""The browser itself refuses every request, whatever the page holds."""

STYLE = """
:root { color-scheme: light dark; --ink: #16191d; --soft: #565d66; --line: #d5d9de; --back: #fff;
  --panel: #f4f6f8; --accent: #0b62c4; --warn: #fff3d6; --heat: 11 98 196; --strong: #fff;
  --item: rgb(255 140 0); --other: rgb(64 180 255); }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaee; --soft: #a3abb5; --line: #3a414a;
  --back: #14171b; --panel: #1e2329; --accent: #6cb2ff; --warn: #3d3213; --heat: 40 110 210;
  --strong: #fff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 76rem; color: var(--ink); background: var(--back);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-bottom: .2rem;
  border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .4rem; }
p { margin: .4rem 0; max-width: 60rem; }
a { color: var(--accent); }
.soft, .empty, figcaption, caption, dt { color: var(--soft); }
h1, td, th, dd, figcaption, li { unicode-bidi: isolate; }
h1, dd, figcaption, li { overflow-wrap: anywhere; }
.notice { display: inline-block; margin: .5rem 0; padding: .25rem .7rem; border: 1px solid var(--line);
  border-radius: .3rem; font-weight: 600; }
.warnings { padding: .6rem 1rem; background: var(--warn); border-radius: .4rem; }
.warnings ul { margin: .3rem 0; padding-left: 1.2rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin: 1rem 0; padding: 0; list-style: none; }
.keys { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem;
  margin: 1rem 0; padding: 0; list-style: none; }
.keys li { padding: .7rem .9rem; background: var(--panel); border-radius: .4rem; }
.keys span { display: block; color: var(--soft); font-size: .85rem; }
.keys strong { display: block; font-size: 1.5rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .93em; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .3rem; }
th, td { padding: .22rem .42rem; text-align: left; border-bottom: 1px solid var(--line); }
thead th { vertical-align: bottom; border-bottom: 2px solid var(--line); }
tbody th { font-weight: 500; min-width: 9rem; max-width: 17rem; overflow-wrap: break-word; }
.number { text-align: right; } td.number { white-space: nowrap; }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button::after { content: "\\2195"; padding-left: .15rem; color: var(--soft); opacity: .6; }
th[aria-sort=ascending] button::after { content: "\\2191"; opacity: 1; }
th[aria-sort=descending] button::after { content: "\\2193"; opacity: 1; }
th button:focus-visible, .scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--accent);
  outline-offset: 2px; }
.filter { display: block; color: var(--soft); font-size: .9rem; }
.filter input { margin: 0 .6rem; padding: .15rem .4rem; font: inherit; color: inherit;
  background: var(--panel); border: 1px solid var(--line); border-radius: .3rem; }
.clear { font-weight: 700; }
.heat td, .heat thead th { padding: 0; border: 1px solid var(--line); }
.heat tbody th { padding: 0 .5rem 0 0; border: 0; font-weight: 400; text-align: right; white-space: nowrap;
  max-width: 12.5rem; overflow: hidden; text-overflow: ellipsis; }
.heat thead td { border: 0; background: none; }
.heat { font-size: .85rem; } .heat thead th { height: 11rem; border: 0; font-weight: 400; }
.heat thead th span { display: block; writing-mode: vertical-rl; transform: rotate(180deg);
  max-height: 11rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.heat td { width: 1.32rem; min-width: 1.32rem; height: 1.25rem; text-align: center; font-size: .62rem;
  background: rgb(var(--heat) / var(--share, 0)); print-color-adjust: exact; }
.heat td.strong { color: var(--strong); }
.heat td.same { outline: 1px solid var(--soft); outline-offset: -1px; }
.heat.few td { min-width: 3.4rem; height: 2rem; font-size: .85rem; }
.heat.few thead th { height: auto; padding: .2rem .3rem; text-align: center; }
.heat.few thead th span { writing-mode: initial; transform: none; max-width: 9rem; white-space: normal;
  overflow-wrap: break-word; }
figure { margin: 1rem 0; }
figure svg { max-width: 100%; height: auto; }
figure svg * { stroke-linejoin: round; stroke-linecap: butt; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); gap: 1rem;
  margin: 1rem 0; padding: 0; list-style: none; }
.gallery figure { margin: 0; break-inside: avoid; }
.gallery img, .placeholder { width: 100%; height: 14rem; object-fit: contain; background: var(--panel);
  border-radius: .3rem; }
.placeholder { display: grid; place-items: center; color: var(--soft); }
.gallery strong { color: var(--ink); }
.swatch { display: inline-block; width: 1em; height: .8em; margin: 0 .35em 0 .9em; border: 3px solid; }
.swatch.item { border-color: var(--item); } .swatch.other { border: 2px dashed var(--other); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(21rem, 1fr)); gap: .15rem 2rem; }
dl div { display: flex; gap: .6rem; border-bottom: 1px solid var(--line); }
dt { flex: 0 0 10.5rem; } dd { margin: 0; min-width: 0; }
summary { cursor: pointer; margin: .6rem 0; color: var(--accent); }
@page { size: A4 landscape; margin: 12mm; }
@media print { body { max-width: none; padding: 0; font-size: 8.5pt; }
  .heat td { width: 1rem; min-width: 1rem; }
  nav, .filter { display: none; }
  th button { display: contents; } th button::after { content: none; }
  .scroll { overflow: visible; } h2, h3, caption { break-after: avoid; }
  tr, figure, .keys li { break-inside: avoid; } thead { display: table-header-group; break-inside: avoid; }
  figure svg { max-height: 165mm; width: auto; }
  .keys li, .warnings { border: 1px solid var(--line); } }
"""

SCRIPT = """
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
"""
