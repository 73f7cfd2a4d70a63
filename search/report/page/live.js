"use strict";

// The page of a run that is being searched follows it: running trials at once, charts as they end.
const here = location.pathname.includes("/run/")
  ? location.pathname
  : location.pathname + "run/" + encodeURIComponent(document.body.dataset.run);
const state = document.getElementById("state");
const kind = document.getElementById("kind");
const list = document.getElementById("running");

function text(kind, content) {
  const made = document.createElement(kind);
  made.textContent = content;
  return made;
}

function percent(value) {
  return typeof value === "number" ? value.toFixed(2) : "";
}

function progress(event) {
  const now = JSON.parse(event.data);
  const ended = Object.entries(now.ended).filter(([, n]) => n).map(([word, n]) => n + " " + word);
  state.textContent = (ended.join(", ") || "no trial has ended yet") +
    "; " + now.stands +
    (now.unfinished && now.held !== false && now.seconds_since > 60
      ? "; nothing new for " + Math.round(now.seconds_since / 60) + " minutes" : "");
  kind.textContent = now.unfinished && !now.held ? "unfinished" : "running";
  list.replaceChildren(...now.running.map((trial) => {
    const row = document.createElement("tr");
    row.append(text("td", trial.label), text("td", trial.epoch + "/" + trial.length),
      text("td", percent(trial.score)), text("td", percent(trial.best)),
      text("td", trial.strategy));
    return row;
  }));
}

async function renew() {
  const answer = await fetch(here, { cache: "no-store" });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const open = new Set(Array.from(document.querySelectorAll("details"))
    .filter((one) => one.open).map((one) => one.closest("figure").id));
  for (const name of ["header", "main"]) {
    document.querySelector(name).replaceWith(fresh.querySelector(name));
  }
  for (const one of document.querySelectorAll("details")) {
    one.open = open.has(one.closest("figure").id);
  }
  prepareTables();
}

const source = new EventSource(here + "/events");
source.addEventListener("progress", progress);
source.addEventListener("page", renew);
source.addEventListener("gone", (event) => {
  state.textContent = JSON.parse(event.data);
  source.close();
});
source.onerror = () => { state.textContent = "The server of this page does not answer; waiting for it."; };
source.onopen = renew;
