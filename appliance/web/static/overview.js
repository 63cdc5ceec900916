// Draws a snapshot as tables. Text only ever enters as text, so no name can become markup.
const byId = (id) => document.getElementById(id);
const GOOD = new Set(["ready", "running", "healthy", "live", "finished", "succeeded", "done"]);
const BAD = new Set(["unknown", "unreachable", "failed", "degraded", "broken", "crashed", "late"]);
const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function draw({ cluster, managers, nodes, services, instances, jobs, events, certificates, store }, filter) {
  byId("cluster-name").textContent = cluster.name || "appliance";
  document.title = `${cluster.name || "appliance"} · ${cluster.state}`;
  byId("cluster-state").replaceWith(badge(cluster.state, "cluster-state"));
  byId("footer").textContent = `appliance ${cluster.version} · times in ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
  drawComplaints(store ? store.complaints : []);
  drawTotals(cluster, managers, nodes, services, instances, certificates);
  const nodesAndManagers = nodes.map((row) => ({ ...row, manager: managers.find((one) => one.node === row.name) }));
  table("nodes", NODES, nodesAndManagers, "No nodes yet.");
  table("services", SERVICES, services, "No services yet: appliance apply FILE --wait");
  table("jobs", JOBS, jobs, "No jobs.");
  byId("jobs-section").hidden = !jobs.length;
  table("events", EVENTS, events, "Nothing has happened yet.");
  const wanted = filter.trim().toLowerCase();
  const chosen = instances.filter((row) => `${row.instance} ${row.node} ${row.state}`.toLowerCase().includes(wanted));
  table("instances", INSTANCES, chosen, wanted ? "Nothing matches the filter." : "No instances yet.");
}

const NODES = [
  ["Name", (row) => strong(row.name)],
  ["State", (row) => stateOf(row.state, row.message)],
  ["Manager", (row) => managerOf(row.manager)],
  ["Address", (row) => code(row.address)],
  ["CPU", (row) => (row.cpu ? row.cpu / 1000 : "–")],
  ["Memory", (row) => (row.memory ? `${(row.memory / 2 ** 30).toFixed(1)} GiB` : "–")],
  ["Version", (row) => row.version || "–"],
  ["Since", (row) => time(row.since)],
];
const SERVICES = [
  ["Name", (row) => strong(row.service)],
  ["Ready", (row) => `${row.ready} of ${row.instances}`],
  ["State", (row) => stateOf(row.state, row.reason)],
  ["Revision", (row) => row.revision],
];
const JOBS = [
  ["Name", (row) => strong(row.job)],
  ["State", (row) => badge(row.state)],
  ["Schedule", (row) => (row.schedule ? element("span", {}, code(row.schedule), ` ${row.zone}`) : "–")],
  ["Next", (row) => time(row.next)],
  ["Last run", (row) => time(row.runs.map((run) => run.started_at || run.created_at).pop())],
  ["Exit code", (row) => row.runs.map((run) => run.exit_code ?? "–").pop() ?? "–"],
];
const EVENTS = [
  ["Time", (row) => time(row.at)],
  ["Subject", (row) => strong(row.subject)],
  ["What", (row) => (row.level === "warning" ? element("span", { className: "warning" }, row.message) : row.message)],
  ["Node", (row) => row.node || "–"],
];
const INSTANCES = [
  ["Name", (row) => strong(row.instance)],
  ["State", (row) => stateOf(instanceState(row), row.message)],
  ["Node", (row) => row.node || "–"],
  ["IP", (row) => (row.ip ? code(row.ip) : "–")],
  ["Restarts", (row) => row.restarts],
  ["Revision", (row) => row.revision],
  ["Started", (row) => time(row.containers.map((one) => one.started_at).filter(Boolean).sort().pop())],
];

function instanceState(row) {
  return row.kind === "deploy" && row.state === "running" && !row.ready ? "not ready" : row.state;
}

function serves(manager) {
  return manager.alive && manager.etcd === "healthy";
}

// How its etcd is; the leader says so.
function managerOf(manager) {
  if (!manager) return "–";
  const state = badge(manager.alive || manager.etcd !== "healthy" ? manager.etcd : "unreachable");
  return manager.leader ? element("span", {}, state, " leads") : state;
}

function drawTotals(cluster, managers, nodes, services, instances, certificates) {
  const lasting = instances.filter((row) => row.kind === "deploy");
  const ready = lasting.filter((row) => row.ready && row.state === "running").length;
  const figures = [
    ["Managers", element("span", { title: cluster.advice }, `${managers.filter(serves).length} / ${managers.length}`)],
    ["Nodes ready", `${nodes.filter((row) => row.state === "ready").length} / ${nodes.length}`],
    ["Services", `${services.length}`],
    ["Instances ready", `${ready} / ${lasting.length}`],
    ["Restarts", `${instances.reduce((sum, row) => sum + row.restarts, 0)}`],
    ["Certificates", certificates ? certificatesNow(certificates) : "–"],
  ];
  byId("totals").replaceChildren(
    ...figures.map(([name, value]) => element("div", { className: "card" }, element("dt", {}, name), element("dd", {}, value))),
  );
}

function drawComplaints(complaints) {
  byId("complaints").replaceChildren(
    ...complaints.map(({ what, next }) => element("p", { className: "notice" }, strong(what), ` To do: ${next}.`)),
  );
}

// All are well as long as none is late; the whole list: appliance certificate ls.
function certificatesNow({ next, late }) {
  if (late.length) return badge("late");
  return element("span", { title: `${next.kind} of ${next.of} ends ${next.valid_until}` }, "valid");
}

// Only a table that changed is replaced, so a selection or a reader's place in the others stays.
const drawn = new Map();

function table(id, columns, rows, empty) {
  const place = byId(id);
  const text = JSON.stringify([rows, empty]);
  if (drawn.get(id) === text && place.hasChildNodes()) return;
  drawn.set(id, text);
  if (!rows.length) {
    place.replaceChildren(element("p", { className: "muted" }, empty));
    return;
  }
  const head = element("tr", {}, ...columns.map(([name]) => element("th", { scope: "col" }, name)));
  const body = rows.map((row) => element("tr", {}, ...columns.map(([name, cell]) => field(name, cell(row)))));
  place.replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

function field(name, content) {
  const cell = element("td", {}, content);
  // Shown before the value where the screen is too narrow for a table.
  cell.dataset.name = name;
  return cell;
}

function stateOf(state, message) {
  if (!message) return badge(state);
  return element("span", {}, badge(state), element("small", { className: "message" }, message));
}

function badge(state, id = "") {
  const shown = element("span", { className: "badge" }, state);
  shown.dataset.mood = GOOD.has(state) ? "good" : BAD.has(state) ? "bad" : "waiting";
  if (id) shown.id = id;
  return shown;
}

function time(text) {
  return text ? element("time", { dateTime: text, title: text }, TIME.format(new Date(text))) : "–";
}

const strong = (text) => element("strong", {}, text);
const code = (text) => element("code", {}, text);

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
