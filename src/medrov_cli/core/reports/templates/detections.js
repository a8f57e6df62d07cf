const head = JSON.parse(at("head").textContent);
const place = "medrov-detect-" + head.records;
const SVG = "http://www.w3.org/2000/svg";
const CARD_BOXES = 100, PICTURE_BOXES = 2000, TABLE_ROWS = 200, PRINTED = 200, SPARE_ROWS = 2;
const LEGEND_CLASSES = 40;
const images = [], failures = [], findings = [], volumes = [], places = new Map();
const classCounts = new Map(), modalityCounts = new Map();
const nodes = new Map();  // cards of the visible part of the gallery, by row
let rows = [], focused = 0, columns = 1, rowHeight = 250, columnWidth = 224, pending = false, shownFindings = 0;
let opened = -1, chosen = 0, scale = 1, volume = null, slice = 0, shownFailures = 0;

// Data

function keyOf(path, frame) { return frame + "\0" + path; }

function medrovReport(part) {
  for (const row of part.images || []) {
    const [path, frame, frames, width, height, modality, kind, grey, spacing, warnings, picture, boxes, total] = row;
    const image = { path, frame, frames, width, height, modality: modality || "unknown", kind, grey, spacing, warnings,
      picture, boxes, total, number: images.length, lower: (path + " " + (kind || "")).toLowerCase(), findings: null };
    image.name = frames === 1 ? path : `${path} [${frame}]`;
    places.set(keyOf(path, frame), image.number);
    images.push(image);
    modalityCounts.set(image.modality, (modalityCounts.get(image.modality) || 0) + 1);
    for (const box of boxes) classCounts.set(box[0], (classCounts.get(box[0]) || 0) + 1);
  }
  failures.push(...part.failures || []);
  for (const row of part.volumes || []) addVolume(row);
  schedule();
}

function addVolume(row) {
  const [path, kind, number, count, modality, step, refusal, warnings, paths, slices, found] = row;
  const own = { path, kind, number, count, modality, step, refusal, warnings,
    name: count > 1 ? `${path} (volume ${number + 1} of ${count})` : path,
    slices: slices.map(([file, frame]) => places.get(keyOf(paths[file], frame))) };
  volumes.push(own);
  for (const image of own.slices) if (images[image]) images[image].volume = own;
  found.forEach(([label, score, first, last, keySlice, extent, diameter, size, seconds, members], index) => {
    findings.push({ volume: own, label, score, first, last, key: keySlice, extent, diameter, size, seconds, index });
    for (const [at_slice, detection] of members) {
      const image = images[own.slices[at_slice]];
      if (image) (image.findings ||= {})[detection] = index + 1;
    }
  });
}

// Filters

const decisionOf = (image, box) => state.decisions[image.number + ":" + box];
const labelOf = (image, box) => {
  const decision = decisionOf(image, box), other = decision && decision.decision === "relabel" ? decision.class : null;
  return other === null ? image.boxes[box][0] : head.classes.indexOf(other);
};
const color = label => head.colors[label] || "#bebebe";

function shownBoxes(image, filter) {
  const found = [];
  for (let box = 0; box < image.boxes.length && image.boxes[box][1] >= filter.score; box++)
    if (filter.label < 0 || labelOf(image, box) === filter.label) found.push(box);
  return found;
}

function filterNow() {
  const text = id => at(id).value;
  return { score: Number(text("threshold")), label: text("class-filter") === "" ? -1 : Number(text("class-filter")),
    modality: text("modality-filter"), search: text("search").trim().toLowerCase(), sort: text("sort"),
    review: text("review-filter"), empty: at("empty").checked };
}

function isReviewed(image, boxes, review) {
  if (review === "") return true;
  const decided = boxes.filter(box => decisionOf(image, box)).length;
  return review === "done" ? decided > 0 : decided < boxes.length;
}

function refilter() {
  const filter = filterNow();
  let detections = 0;
  rows = [];
  for (const image of images) {
    if (filter.modality && image.modality !== filter.modality) continue;
    if (filter.search && !image.lower.includes(filter.search)) continue;
    const boxes = shownBoxes(image, filter);
    if (!boxes.length && !(filter.empty && filter.review === "")) continue;
    if (!isReviewed(image, boxes, filter.review)) continue;
    detections += boxes.length;
    rows.push({ image, boxes, best: boxes.length ? image.boxes[boxes[0]][1] : -1 });
  }
  const orders = {
    score: (a, b) => b.best - a.best || a.image.number - b.image.number,
    count: (a, b) => b.boxes.length - a.boxes.length || a.image.number - b.image.number,
    name: (a, b) => (a.image.path < b.image.path ? -1 : a.image.path > b.image.path ? 1 : a.image.frame - b.image.frame),
    order: (a, b) => a.image.number - b.image.number,
  };
  rows.sort(orders[filter.sort]);
  at("threshold-value").textContent = filter.score.toFixed(2);
  at("status").textContent = `${rows.length.toLocaleString("en")} of ${images.length.toLocaleString("en")} images, ` +
    `${detections.toLocaleString("en")} detections from score ${filter.score.toFixed(2)}.`;
  focused = Math.min(focused, Math.max(rows.length - 1, 0));
}

// Gallery: only the rows of cards in view are elements of the page

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function pictureOf(image) {
  return typeof image.picture === "number" ? at("picture-" + image.picture).textContent : image.picture;
}

function drawBoxes(svg, image, boxes, most, marked) {
  svg.setAttribute("viewBox", `0 0 ${image.width} ${image.height}`);
  svg.setAttribute("preserveAspectRatio", "xMidYMid meet");
  const drawn = [];
  for (const box of boxes.slice(0, most).reverse().concat(boxes.includes(marked) ? [marked] : [])) {
    const [, , x1, y1, x2, y2] = image.boxes[box], decision = decisionOf(image, box);
    const state = (box === marked ? " chosen" : "") + (decision && decision.decision === "reject" ? " rejected" : "");
    for (const kind of ["case", "box"]) {
      const rect = document.createElementNS(SVG, "rect");
      rect.setAttribute("class", kind + state);
      for (const [key, value] of [["x", x1], ["y", y1], ["width", x2 - x1], ["height", y2 - y1]])
        rect.setAttribute(key, value);
      if (kind === "box") rect.setAttribute("stroke", color(labelOf(image, box)));
      drawn.push(rect);
    }
  }
  svg.replaceChildren(...drawn);
}

function summaryOf({ image, boxes }) {
  if (!boxes.length) return "no detection";
  const first = image.boxes[boxes[0]], rest = image.total > image.boxes.length ? "+" : "";
  return `${boxes.length}${rest}: ${head.classes[labelOf(image, boxes[0])]} ${first[1].toFixed(2)}`;
}

function makeCard(row, item = element("li")) {
  const own = rows[row], { image, boxes } = own;
  if (!item.firstChild) {
    const card = element("button", "card"), look = element("span", "look"), name = element("span", "name");
    const picture = element("img");
    picture.decoding = "async";
    look.append(picture, document.createElementNS(SVG, "svg"));
    look.lastChild.setAttribute("aria-hidden", "true");
    name.append(element("bdi"));
    card.type = "button";
    card.append(look, name, element("span", "of"));
    item.append(card);
  }
  const card = item.firstChild, [picture, svg] = card.firstChild.children;
  picture.alt = "";
  if (item.dataset.image !== String(image.number)) {
    picture.src = pictureOf(image);
    item.dataset.image = image.number;
  }
  drawBoxes(svg, image, boxes, CARD_BOXES, -1);
  card.children[1].firstChild.textContent = image.name;
  card.title = image.name;
  card.lastChild.textContent = summaryOf(own);
  card.tabIndex = row === focused ? 0 : -1;
  card.dataset.row = row;
  item.setAttribute("aria-setsize", rows.length);
  item.setAttribute("aria-posinset", row + 1);
  return item;
}

function measure() {
  const probe = nodes.values().next().value;
  if (probe) { rowHeight = probe.offsetHeight; columnWidth = probe.offsetWidth; }
  columns = Math.max(1, Math.floor(at("gallery").clientWidth / columnWidth));
}

function render(redraw) {
  const gallery = at("gallery");
  if (at("view-images").hidden) return;
  measure();
  gallery.style.height = Math.ceil(rows.length / columns) * rowHeight + "px";
  const top = -gallery.getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(top / rowHeight) - SPARE_ROWS) * columns;
  const last = Math.min(rows.length, (Math.ceil((top + innerHeight) / rowHeight) + SPARE_ROWS) * columns);
  const free = [];
  for (const [row, item] of nodes) {
    const isFocused = item.contains(document.activeElement) && row < rows.length;
    if ((row < first || row >= last) && !isFocused) { nodes.delete(row); free.push(item); }
  }
  for (let row = first; row < last; row++) {
    let item = nodes.get(row);
    if (!item || redraw) {
      const isNew = !item;
      item = makeCard(row, item || free.pop());
      nodes.set(row, item);
      if (isNew && item.parentNode !== gallery) gallery.append(item);
    }
    const x = row % columns * columnWidth, y = Math.floor(row / columns) * rowHeight;
    item.style.transform = `translate(${x}px, ${y}px)`;
  }
  for (const item of free) item.remove();
}

let stale = false;
function schedule(isScroll) {
  stale ||= !isScroll;
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    const redraw = stale;
    stale = false;
    if (redraw) { fillChoices(); refilter(); legend(); tables(); }
    const before = nodes.size;
    render(redraw);
    if (before === 0 && nodes.size) render(false);  // the first card gives the size of all
    document.documentElement.dataset.rows = rows.length;
  });
}

function focusRow(row) {
  if (!rows.length) return;
  const old = nodes.get(focused);
  if (old) old.firstChild.tabIndex = -1;
  focused = Math.min(Math.max(row, 0), rows.length - 1);
  const top = at("gallery").getBoundingClientRect().top + Math.floor(focused / columns) * rowHeight;
  if (top < 0) scrollBy(0, top - 8);
  else if (top + rowHeight > innerHeight) scrollBy(0, top + rowHeight - innerHeight + 8);
  render(false);
  const card = nodes.get(focused).firstChild;
  card.tabIndex = 0;
  card.focus({ preventScroll: true });
}

// Controls around the gallery

function fillSelect(id, entries) {
  const select = at(id), value = select.value;
  if (select.options.length === entries.length + 1) return;
  select.replaceChildren(new Option("all", ""), ...entries.map(([text, own]) => new Option(text, own)));
  select.value = value;
  if (select.selectedIndex < 0) select.value = "";
}

function fillChoices() {
  const classes = [...classCounts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  fillSelect("class-filter", classes.map(([label]) => [head.classes[label], String(label)]));
  fillSelect("modality-filter", [...modalityCounts.keys()].sort().map(name => [name, name]));
}

function legend() {
  const found = [...classCounts.keys()].sort((a, b) => classCounts.get(b) - classCounts.get(a) || a - b);
  const shown = found.slice(0, LEGEND_CLASSES).map(label => {
    const item = element("li"), swatch = element("span", "swatch");
    swatch.style.background = color(label);
    item.append(swatch, element("bdi", "", head.classes[label]));
    return item;
  });
  if (found.length > LEGEND_CLASSES) shown.push(element("li", "", `and ${found.length - LEGEND_CLASSES} more classes`));
  at("legend").replaceChildren(...shown);
}

function numberText(value, digits) { return value === null || value === undefined ? "–" : value.toFixed(digits); }

function cell(text, isNumber) { return element("td", isNumber ? "number" : "", text); }

function tables() {
  at("tab-findings").hidden = volumes.length === 0;
  at("tab-failures").hidden = failures.length === 0;
  at("tab-images").textContent = `Images (${images.length.toLocaleString("en")})`;
  at("tab-findings").textContent = `Findings (${findings.length.toLocaleString("en")})`;
  at("tab-failures").textContent = `Failures (${failures.length.toLocaleString("en")})`;
  findings.sort((a, b) => b.score - a.score || volumes.indexOf(a.volume) - volumes.indexOf(b.volume) || a.index - b.index);
  at("findings").replaceChildren();
  at("failures").replaceChildren();
  shownFindings = shownFailures = 0;
  moreFindings();
  moreFailures();
  const notes = volumes.filter(own => own.refusal || own.warnings.length);
  at("volume-notes").replaceChildren(...notes.slice(0, TABLE_ROWS).map(own =>
    element("li", "", [own.name + ":", own.refusal ? `not linked: ${own.refusal}.` : "", ...own.warnings].join(" "))));
}

function moreFindings() {
  const part = findings.slice(shownFindings, shownFindings + TABLE_ROWS);
  shownFindings += part.length;
  at("more-findings").hidden = shownFindings >= findings.length;
  at("findings").append(...part.map(own => {
    const row = element("tr"), name = element("th"), link = element("button", "", head.classes[own.label]);
    const swatch = element("span", "swatch");
    swatch.style.background = color(own.label);
    link.type = "button";
    link.addEventListener("click", () => openFinding(own));
    name.scope = "row";
    name.append(swatch, link);
    const extent = own.extent ? own.extent.map(value => value.toFixed(1)).join(" × ") : "–";
    const time = own.seconds ? `${own.seconds.map(value => value.toFixed(1)).join("–")} s` : null;
    row.append(name, cell(own.score.toFixed(3), true), cell(own.volume.name), cell(own.volume.modality || "–"),
      cell(time || `${own.first + 1}–${own.last + 1}`, true), cell(numberText(own.diameter, 1), true),
      cell(extent, true), cell(numberText(own.size, 0), true));
    return row;
  }));
}

function moreFailures() {
  const part = failures.slice(shownFailures, shownFailures + TABLE_ROWS);
  shownFailures += part.length;
  at("more-failures").hidden = shownFailures >= failures.length;
  at("failures").append(...part.map(([path, code, message, hint]) => {
    const row = element("tr"), name = element("th", "", path);
    name.scope = "row";
    row.append(name, cell(code), cell(message), cell(hint || ""));
    return row;
  }));
}

function showView(wanted) {
  for (const name of ["images", "findings", "failures"]) {
    at("view-" + name).hidden = name !== wanted;
    at("tab-" + name).setAttribute("aria-selected", String(name === wanted));
  }
  schedule(true);
}

// One image: its picture, boxes and decisions

const imageNow = () => images[opened];

function boxesNow() { return imageNow() ? shownBoxes(imageNow(), filterNow()) : []; }

function openImage(number, box) {
  opened = number;
  const image = imageNow(), boxes = boxesNow();
  volume = image.volume || null;
  slice = volume ? volume.slices.indexOf(number) : 0;
  chosen = boxes.includes(box) ? box : boxes.length ? boxes[0] : -1;
  showImage();
  if (!at("detail").open) at("detail").showModal();
  fit();
}

function openFinding(own) {
  const number = own.volume.slices[own.key];
  if (number === undefined) return;
  openImage(number);
  const linked = images[number].findings || {};
  const box = Object.keys(linked).map(Number).find(one => linked[one] === own.index + 1);
  if (box !== undefined) { chosen = box; showImage(); }
}

function rowOf(number) { return rows.findIndex(own => own.image.number === number); }

function showImage() {
  const image = imageNow(), boxes = boxesNow(), row = rowOf(opened);
  at("name").textContent = image.name;
  at("position").textContent = row < 0 ? "" : `${(row + 1).toLocaleString("en")} of ${rows.length.toLocaleString("en")}`;
  const address = pictureOf(image);
  if (at("picture").getAttribute("src") !== address) at("picture").src = address;
  at("picture").alt = `${image.name}: ${boxes.length} detections`;
  drawBoxes(at("boxes"), image, boxes, PICTURE_BOXES, chosen);
  showFacts(image);
  at("detections").replaceChildren(...boxes.slice(0, TABLE_ROWS).map(box => detectionRow(image, box)));
  const cut = boxes.length > TABLE_ROWS || image.total > image.boxes.length;
  at("cut").hidden = !cut;
  at("cut").textContent = `${Math.min(boxes.length, TABLE_ROWS)} of ${image.total.toLocaleString("en")} detections are listed, ` +
    `${Math.min(boxes.length, PICTURE_BOXES)} are drawn.`;
  at("slices").hidden = volume === null;
  if (volume) {
    at("slice").max = volume.slices.length - 1;
    at("slice").value = slice;
    at("slice-value").textContent = `${slice + 1} of ${volume.slices.length}`;
  }
  at("previous").disabled = row === 0 || rows.length === 0;
  at("next").disabled = rows.length === 0 || row === rows.length - 1;
  at("undo").disabled = state.history.length === 0;
  for (const id of ["accept", "reject"]) at(id).disabled = chosen < 0;
  const decision = chosen < 0 ? null : decisionOf(image, chosen);
  showDecision(decision, chosen < 0 ? "" : head.classes[image.boxes[chosen][0]], chosen < 0 ? [] : head.classes);
  at("decided").textContent = countDecisions();
}

function detectionRow(image, box) {
  const [label, score, x1, y1, x2, y2, width, height] = image.boxes[box];
  const row = element("tr", box === chosen ? "chosen" : ""), name = element("th"), swatch = element("span", "swatch");
  const link = element("button", "", head.classes[label]);
  const digits = width !== null && Math.max(width, height) < 1 ? 4 : 1;
  swatch.style.background = color(labelOf(image, box));
  link.type = "button";
  link.addEventListener("click", () => { chosen = box; showImage(); });
  if (box === chosen) row.setAttribute("aria-current", "true");
  name.scope = "row";
  name.append(swatch, link);
  if (image.findings && image.findings[box]) name.append(element("span", "soft", ` finding ${image.findings[box]}`));
  row.append(name, cell(score.toFixed(3), true),
    cell(width === null ? "–" : `${width.toFixed(digits)} × ${height.toFixed(digits)}`, true),
    cell(`${Math.round(x2 - x1)} × ${Math.round(y2 - y1)}`, true), cell(describe(decisionOf(image, box))));
  return row;
}

function showFacts(image) {
  const spacing = image.spacing ? `${image.spacing.join(" × ")} mm per pixel` : "unknown";
  const facts = [["size", `${image.width} × ${image.height} px`], ["spacing", spacing], ["modality", image.modality],
    ["kind", image.kind || "–"], ["window", image.grey || "as stored"],
    ...image.warnings.map(text => ["warning", text])];
  if (volume && volume.step !== null) facts.push(["slice step", `${volume.step} mm`]);
  at("facts").replaceChildren(...facts.flatMap(([key, text]) => [element("dt", "", key), element("dd", "", text)]));
}

function fit() {
  const image = imageNow(), stage = at("stage");
  if (!image || !at("detail").open) return;
  const ratio = Math.min(stage.offsetWidth / image.width, stage.offsetHeight / image.height) * scale;
  at("canvas").style.width = Math.max(1, image.width * ratio) + "px";
  at("canvas").style.height = Math.max(1, image.height * ratio) + "px";
}

function zoom(factor) {
  const stage = at("stage");
  const center = [stage.scrollLeft + stage.clientWidth / 2, stage.scrollTop + stage.clientHeight / 2];
  const before = scale;
  scale = factor === 0 ? 1 : Math.min(16, Math.max(1, scale * factor));
  fit();
  stage.scrollLeft = center[0] * scale / before - stage.clientWidth / 2;
  stage.scrollTop = center[1] * scale / before - stage.clientHeight / 2;
}

function goRow(row) {
  if (!rows.length) return;
  focused = Math.min(Math.max(row, 0), rows.length - 1);
  openImage(rows[focused].image.number);
}

function goSlice(to) {
  if (!volume) return;
  slice = Math.min(Math.max(to, 0), volume.slices.length - 1);
  const number = volume.slices[slice];
  if (number === undefined) return;
  const own = volume, at_slice = slice;
  openImage(number);
  volume = own;
  slice = at_slice;
}

function goBox(step) {
  const boxes = boxesNow();
  if (!boxes.length) return;
  chosen = boxes[Math.min(Math.max(boxes.indexOf(chosen) + step, 0), boxes.length - 1)];
  showImage();
  const row = at("detections").querySelector(".chosen");
  if (row) row.scrollIntoView({ block: "nearest" });
}

function decide(decision) {
  if (chosen < 0) return;
  const boxes = boxesNow(), next = boxes.indexOf(chosen) + 1;
  setDecision(opened + ":" + chosen, decision);
  if (next < boxes.length) chosen = boxes[next];
  remember(place);
  showImage();
  stale = true;
}

function undo() {
  const key = takeBack();
  if (key === null) return;
  const [image, box] = key.split(":").map(Number);
  remember(place);
  openImage(image, box);
  stale = true;
}

function nextUndecided() {
  const from = Math.max(rowOf(opened), 0);
  for (let step = 0; step <= rows.length; step++) {
    const { image, boxes } = rows[(from + step) % rows.length];
    const here = step === 0 ? boxes.indexOf(chosen) + 1 : 0;
    const box = boxes.slice(here).find(one => !decisionOf(image, one));
    if (box !== undefined) { focused = (from + step) % rows.length; return openImage(image.number, box); }
  }
}

function relabel() {
  const name = at("classes").value;
  at("relabel").focus();
  if (name) decide({ decision: "relabel", class: name });
}

function save() {
  const keys = Object.keys(state.decisions).map(key => key.split(":").map(Number));
  const decisions = keys.sort((a, b) => a[0] - b[0] || a[1] - b[1]).filter(([image]) => images[image])
    .map(([image, detection]) => ({ path: images[image].path, frame: images[image].frame, detection,
      ...state.decisions[image + ":" + detection] }));
  saveDecisions({ schema: head.schema, records: head.records, decisions });
}

const actions = {
  accept: () => decide({ decision: "accept" }), reject: () => decide({ decision: "reject" }),
  relabel: () => openChoice(at("choice").hidden), confirm: relabel, undo, save, open: nextUndecided,
  previous: () => goRow(rowOf(opened) - 1), next: () => goRow(rowOf(opened) + 1),
  larger: () => zoom(2), smaller: () => zoom(.5), whole: () => zoom(0), close: () => at("detail").close(),
};
listen(actions, { ...DECISION_KEYS, "+": "larger", "=": "larger", "-": "smaller", "0": "whole" });

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT)$/.test(event.target.tagName)) return;
  if (at("detail").open) {
    const moves = { ArrowUp: () => goBox(-1), ArrowDown: () => goBox(1), PageUp: () => goSlice(slice - 1),
      PageDown: () => goSlice(slice + 1) };
    if (!moves[event.key] || (event.key.startsWith("Page") && !volume)) return;
    event.preventDefault();
    moves[event.key]();
  } else if (event.key === "/") {
    event.preventDefault();
    showView("images");
    at("search").focus();
  }
});

at("gallery").addEventListener("keydown", event => {
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -rows.length, End: rows.length };
  if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const to = focused + steps[event.key];
  focusRow(Math.abs(steps[event.key]) > 1 && Math.abs(steps[event.key]) < rows.length && (to < 0 || to >= rows.length) ?
    focused : to);
});
at("gallery").addEventListener("click", event => {
  const card = event.target.closest(".card");
  if (!card) return;
  focused = Number(card.dataset.row);
  openImage(rows[focused].image.number);
});
at("detail").addEventListener("close", () => {
  scale = 1;
  stale = true;
  schedule();
  requestAnimationFrame(() => { if (!at("view-images").hidden) focusRow(focused); });
});
at("slice").addEventListener("input", () => goSlice(Number(at("slice").value)));
for (const name of ["images", "findings", "failures"])
  at("tab-" + name).addEventListener("click", () => showView(name));
at("more-findings").addEventListener("click", moreFindings);
at("more-failures").addEventListener("click", moreFailures);
at("filters").addEventListener("submit", event => event.preventDefault());
at("filters").addEventListener("input", () => schedule());
addEventListener("scroll", () => schedule(true), { passive: true });
addEventListener("resize", () => { schedule(true); fit(); });
addEventListener("beforeprint", () => {
  const part = rows.slice(0, PRINTED).map((own, row) => makeCard(row));
  if (rows.length > PRINTED) part.push(element("li", "", `and ${rows.length - PRINTED} more images`));
  at("printed").replaceChildren(...part);
});
addEventListener("afterprint", () => at("printed").replaceChildren());
addEventListener("load", () => {
  if (classCounts.size === 0) at("empty").checked = true;
  schedule();
  document.documentElement.dataset.script = "ready";
});

recall(place);
document.addEventListener("DOMContentLoaded", () => {
  for (const part of document.querySelectorAll("script.part")) medrovReport(JSON.parse(part.textContent));
});
