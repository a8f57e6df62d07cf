"use strict";
// Decisions of a person on detections or labels: their store, history, controls and file.
const at = id => document.getElementById(id);
const PAST = { accept: "accepted", reject: "rejected", relabel: "relabelled" };
let state = { decisions: {}, history: [], current: 0 };

function remember(place) {
  try { localStorage.setItem(place, JSON.stringify(state)); } catch { at("unsaved").hidden = false; }
}

function recall(place) {
  try {
    const kept = JSON.parse(localStorage.getItem(place));
    if (kept && kept.decisions && Array.isArray(kept.history) && Number.isInteger(kept.current)) state = kept;
  } catch { at("unsaved").hidden = false; }
}

function describe(decision) {
  if (!decision) return "none yet";
  return PAST[decision.decision] + (decision.class === undefined ? "" : " as " + decision.class);
}

function countDecisions() {
  const made = Object.values(state.decisions);
  const count = kind => made.filter(own => own.decision === kind).length;
  return `${made.length} decided: ${count("accept")} accepted, ${count("reject")} rejected, ` +
    `${count("relabel")} relabelled.`;
}

function setDecision(key, decision) {
  state.history.push([key, state.decisions[key] || null]);
  state.decisions[key] = decision;
}

function takeBack() {
  const last = state.history.pop();
  if (!last) return null;
  if (last[1]) state.decisions[last[0]] = last[1]; else delete state.decisions[last[0]];
  return last[0];
}

function showDecision(decision, own, names) {
  for (const kind of Object.keys(PAST))
    at(kind).setAttribute("aria-pressed", String(Boolean(decision) && decision.decision === kind));
  const others = names.filter(name => name !== own);
  at("classes").replaceChildren(...others.map(name => new Option(name, name)));
  at("relabel").disabled = others.length === 0;
  openChoice(false);
}

function openChoice(wanted) {
  at("choice").hidden = !wanted;
  at("relabel").setAttribute("aria-expanded", String(wanted));
  if (wanted) at("classes").focus();
}

function saveDecisions(content) {
  const text = JSON.stringify(content, null, 1) + "\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "decisions.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

const DECISION_KEYS = { a: "accept", r: "reject", l: "relabel", ArrowLeft: "previous", ArrowRight: "next",
  n: "open", u: "undo", s: "save" };

function listen(actions, keys) {
  for (const [id, act] of Object.entries(actions)) at(id).addEventListener("click", act);
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === at("classes")) {
      if (event.key === "Enter") { event.preventDefault(); actions.confirm(); }
      if (event.key === "Escape") { event.preventDefault(); openChoice(false); at("relabel").focus(); }
      return;
    }
    if (["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName)) return;
    const id = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!id || at(id).disabled || !at(id).checkVisibility()) return;
    event.preventDefault();
    actions[id]();
  });
}
