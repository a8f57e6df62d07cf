"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const items = data.items, at = id => document.getElementById(id);
const place = "medrov-review-" + data.labels;
const PAST = { accept: "accepted", reject: "rejected", relabel: "relabelled" };
let state = { decisions: {}, history: [], current: 0 };

function remember() {
  try { localStorage.setItem(place, JSON.stringify(state)); } catch { at("unsaved").hidden = false; }
}

function recall() {
  try {
    const kept = JSON.parse(localStorage.getItem(place));
    if (kept && kept.decisions && Array.isArray(kept.history) && items[kept.current]) state = kept;
  } catch { at("unsaved").hidden = false; }
}

function describe(decision) {
  if (!decision) return "none yet";
  return PAST[decision.decision] + (decision.class === undefined ? "" : " as " + decision.class);
}

function show() {
  const count = kind => Object.values(state.decisions).filter(own => own.decision === kind).length;
  const decided = Object.keys(state.decisions).length;
  at("status").textContent = items.length === 0 ? "No label to decide on." :
    `Label ${state.current + 1} of ${items.length}. ${decided} decided: ${count("accept")} accepted, ` +
    `${count("reject")} rejected, ${count("relabel")} relabelled.`;
  at("progress").max = Math.max(items.length, 1);
  at("progress").value = decided;
  for (const id of ["accept", "reject", "relabel", "previous", "next", "open"])
    at(id).disabled = items.length === 0;
  at("undo").disabled = state.history.length === 0;
  const item = items[state.current];
  if (!item) return;
  const decision = state.decisions[state.current], classes = data.sources[item.source].classes;
  at("class").textContent = item.class;
  at("score").textContent = item.score === null ? "unknown" : item.score.toFixed(3);
  at("decision").textContent = describe(decision);
  at("source").textContent = `${item.source} (${data.sources[item.source].modality})`;
  at("image").textContent = `${item.image} (${item.split})`;
  at("id").textContent = item.id;
  at("picture").src = at("picture-" + state.current).textContent;
  at("picture").alt = `${item.class} in ${item.image}`;
  for (const kind of Object.keys(PAST))
    at(kind).setAttribute("aria-pressed", String(Boolean(decision) && decision.decision === kind));
  const others = classes.filter(name => name !== item.class);
  at("classes").replaceChildren(...others.map(name => new Option(name, name)));
  at("relabel").disabled = others.length === 0;
  openChoice(false);
}

function openChoice(wanted) {
  at("choice").hidden = !wanted;
  at("relabel").setAttribute("aria-expanded", String(wanted));
  if (wanted) at("classes").focus();
}

function go(to) {
  if (!items.length) return;
  state.current = Math.min(Math.max(to, 0), items.length - 1);
  remember();
  show();
}

function decide(decision) {
  if (!items.length) return;
  state.history.push([state.current, state.decisions[state.current] || null]);
  state.decisions[state.current] = decision;
  go(state.current + 1);
}

function undo() {
  const last = state.history.pop();
  if (!last) return;
  if (last[1]) state.decisions[last[0]] = last[1]; else delete state.decisions[last[0]];
  go(last[0]);
}

function nextUndecided() {
  for (let step = 1; step <= items.length; step++) {
    const to = (state.current + step) % items.length;
    if (!state.decisions[to]) return go(to);
  }
}

function relabel() {
  if (at("classes").value) decide({ decision: "relabel", class: at("classes").value });
  at("accept").focus();
}

function save() {
  const decisions = Object.keys(state.decisions).map(Number).sort((a, b) => a - b)
    .map(row => ({ source: items[row].source, id: items[row].id, ...state.decisions[row] }));
  const text = JSON.stringify({ schema: data.schema, labels: data.labels, decisions }, null, 1) + "\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "decisions.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

const actions = {
  accept: () => decide({ decision: "accept" }), reject: () => decide({ decision: "reject" }),
  relabel: () => openChoice(at("choice").hidden), confirm: relabel,
  previous: () => go(state.current - 1), next: () => go(state.current + 1), open: nextUndecided, undo, save,
};
for (const [id, act] of Object.entries(actions)) at(id).addEventListener("click", act);
const keys = { a: "accept", r: "reject", l: "relabel", ArrowLeft: "previous", ArrowRight: "next",
  n: "open", u: "undo", s: "save" };
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target === at("classes")) {
    if (event.key === "Enter") { event.preventDefault(); relabel(); }
    if (event.key === "Escape") { openChoice(false); at("relabel").focus(); }
    return;
  }
  const id = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!id || at(id).disabled) return;
  event.preventDefault();
  actions[id]();
});
recall();
show();
document.documentElement.dataset.script = "ready";
