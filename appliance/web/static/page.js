// The page's start: who is logged in decides between the login form and the overview.
import { follow } from "./live.js";
import { draw } from "./overview.js";

const byId = (id) => document.getElementById(id);
let stopFollowing = null;
let latest = null;

async function start() {
  try {
    const answer = await fetch("/api/session");
    if (answer.ok) showOverview();
    else if (answer.status === 401) showLogin();
    else throw new Error(`the manager answered ${answer.status}`);
  } catch (error) {
    // The manager may be restarting: asked again until it answers.
    showConnection("broken", `Not connected (${error.message}), trying again`);
    setTimeout(start, 3000);
  }
}

function showLogin() {
  if (stopFollowing) stopFollowing();
  stopFollowing = null;
  latest = null;
  for (const id of ["nodes", "services", "jobs", "instances", "events", "totals"]) byId(id).replaceChildren();
  byId("login").hidden = false;
  for (const id of ["overview", "log-out", "connection", "cluster-state"]) byId(id).hidden = true;
  byId("login").elements.password.focus();
}

function showOverview() {
  byId("login").hidden = true;
  byId("overview").hidden = false;
  byId("log-out").hidden = false;
  stopFollowing = follow({ snapshot: show, connection: showConnection, loggedOut: showLogin });
}

function show(snapshot) {
  latest = snapshot;
  draw(snapshot, byId("filter").value);
}

function showConnection(state, text) {
  const shown = byId("connection");
  shown.hidden = false;
  shown.dataset.state = state;
  if (shown.textContent !== text) shown.textContent = text;
}

async function post(address, data) {
  const headers = { "Content-Type": "application/json" };
  return fetch(address, { method: "POST", headers, body: JSON.stringify(data) });
}

async function logIn(form) {
  const said = byId("login-error");
  said.hidden = true;
  form.querySelector("button").disabled = true;
  try {
    const { user, password } = form.elements;
    const answer = await post("/api/login", { user: user.value, password: password.value });
    if (!answer.ok) throw new Error(sentence(await answer.json()));
    form.reset();
    showOverview();
  } catch (error) {
    said.textContent = error.message;
    said.hidden = false;
  } finally {
    form.querySelector("button").disabled = false;
  }
}

function sentence(problem) {
  return [problem.what, problem.why, problem.next && `Next: ${problem.next}`].filter(Boolean).join(" ");
}

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  logIn(event.target);
});
byId("log-out").addEventListener("click", async () => {
  const answer = await post("/api/logout", {}).catch(() => null);
  if (answer && answer.ok) showLogin();
  else showConnection("broken", "Still logged in: the manager did not answer");
});
byId("filter").addEventListener("input", () => latest && show(latest));

start();
