"use strict";
const data = JSON.parse(at("data").textContent);
const items = data.items;
const place = "medrov-review-" + data.labels;

function show() {
  const decided = Object.keys(state.decisions).length;
  at("status").textContent = items.length === 0 ? "No label to decide on." :
    `Label ${state.current + 1} of ${items.length}. ${countDecisions()}`;
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
  showDecision(decision, item.class, classes);
}

function go(to) {
  if (!items.length) return;
  state.current = Math.min(Math.max(to, 0), items.length - 1);
  remember(place);
  show();
}

function decide(decision) {
  if (!items.length) return;
  setDecision(state.current, decision);
  go(state.current + 1);
}

function undo() {
  const key = takeBack();
  if (key !== null) go(Number(key));
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
  saveDecisions({ schema: data.schema, labels: data.labels, decisions });
}

const actions = {
  accept: () => decide({ decision: "accept" }), reject: () => decide({ decision: "reject" }),
  relabel: () => openChoice(at("choice").hidden), confirm: relabel,
  previous: () => go(state.current - 1), next: () => go(state.current + 1), open: nextUndecided, undo, save,
};
listen(actions, DECISION_KEYS);
recall(place);
if (!items[state.current]) state = { decisions: {}, history: [], current: 0 };
show();
document.documentElement.dataset.script = "ready";
