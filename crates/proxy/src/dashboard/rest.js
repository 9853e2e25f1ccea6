// Certificates, orders in force, events, the service; `explain`; orders.
"use strict";

function renderCertificates() {
  const rows = Object.values(state.certificates).sort((a, b) => a.not_after < b.not_after ? -1 : 1).map((certificate) => {
    const days = Math.floor((Date.parse(certificate.not_after) - now()) / 86400000);
    const row = make("tr"), end = make("td");
    const [word, kind] = days < 0 ? ["ended", "bad"] : days < SOON ? [`in ${count(days, "day")}`, "warn"] : [`in ${count(days, "day")}`, "good"];
    end.append(pill(word, kind), ` ${certificate.not_after.slice(0, 10)}`);
    row.append(end, make("td", "", certificate.names.join(", ") || "what the endpoint shows"), make("td", "", certificate.path));
    return row;
  });
  $("certificate-rows").replaceChildren(...rows);
  show($("certificates-none"), !rows.length);
}

function renderOrders() {
  const rows = (state.overrides || []).map((order) => {
    const until = order.until ? `, until ${moment(order.until)}` : "";
    const row = make("li");
    row.append(make("b", "", `${order.pool}/${order.endpoint}: ${order.order}`),
      ` instead of ${order.file}, by ${order.by} at ${moment(order.at)}${until}${order.reason ? `: “${order.reason}”` : ""}${order.kept ? "" : " (lost at a restart: the state directory cannot be written)"}`);
    return row;
  });
  $("order-rows").replaceChildren(...rows);
  show($("orders-none"), !rows.length);
}

const eventRows = new Map();
function renderEvents() {
  const grave = Number($("grave").value);
  const wanted = Object.keys(state.events).map(Number).sort((a, b) => b - a).filter((n) => state.events[n].grave <= grave).slice(0, EVENTS);
  for (const number of eventRows.keys()) if (!state.events[number]) eventRows.delete(number);
  arrange($("event-rows"), wanted.map((number) => {
    if (!eventRows.has(number)) eventRows.set(number, eventRow(state.events[number]));
    return eventRows.get(number);
  }));
  show($("events-none"), !wanted.length);
}

function eventRow(event) {
  const row = make("li"), time = make("time", "", event.at.slice(11, 19));
  time.dateTime = event.at;
  time.title = event.at;
  row.append(time, pill(...(GRAVE[event.grave] || ["info", ""])), make("span", "", event.message));
  return row;
}

function renderService() {
  const reload = state.last_reload;
  setFacts($("service-facts"), [
    ["Program", `${state.program} ${state.version}, process ${state.pid}`],
    ["Running for", span(Math.floor(state.uptime_seconds / 60) * 60 || state.uptime_seconds)],
    ["Configuration", `generation ${state.generation}`],
    ["Last reload", reload ? `${moment(reload.at)} UTC: ${reload.message}` : "none since the start"],
    ["Workers", state.workers.map((worker, index) => `${index}: ${worker.alive ? count(worker.sessions, "session") : "no sign of life"}`).join("; ")],
    ["Orders from this page", state.orders ? "drain and take back, with the token" : "none: it only shows (dashboard.token_file)"],
  ]);
}

// --- explain -----------------------------------------------------------------------------------

$("explain-form").addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  const asked = {};
  for (const [name, value] of new FormData(submitted.target)) if (value.trim()) asked[name] = name === "port" ? Number(value) || value : value.trim();
  const into = $("explained"), { ok, text } = await post("api/explain", asked);
  const said = text.startsWith("{") ? JSON.parse(text) : { messages: [text] };
  into.replaceChildren(...(ok ? explained(said.data) : said.messages.map((line) => make("p", "wrong", line))));
});

function explained(it) {
  const parts = [make("p", "verdict", it.words)];
  parts.push(make("p", "", `${it.from} comes to listener ${it.listener} (${it.address})${it.server_name ? `, for ${it.server_name}` : ""}${it.request ? `: ${it.request}` : ""}. ${it.allowed ? "It is let in" : "It is kept out"}${it.network ? ` by ${it.network}` : ""}.`));
  for (const [title, list] of [["Rules that were tried", it.rules], ["Routes that were tried", it.routes]]) {
    if (!list.length) continue;
    const steps = make("ol");
    for (const tried of list) {
      const step = make("li", tried.evaluated ? "" : "skipped");
      step.value = tried.number;
      step.append(make("span", tried.why.held && tried.evaluated ? "held" : "", tried.why.held && tried.evaluated ? "✓ holds: " : tried.evaluated ? "does not hold: " : "left out by the index: "),
        `${tried.why.condition}${tried.why.fact ? ` (found: ${tried.why.fact})` : ""}, ${tried.does}`);
      steps.append(step);
    }
    parts.push(make("h3", "", title), steps);
  }
  if (it.routes_left_out) parts.push(make("p", "quiet", `${it.routes_left_out} more routes were left out by the index of hosts, names and paths.`));
  for (const pool of it.pools) {
    parts.push(make("h3", "", `Pool ${pool.name}${pool.share < 1 ? ` (${Math.round(100 * pool.share)} % of the time)` : ""}: ${pool.balance}${pool.next ? `; next: ${pool.next}` : ""}`));
    const list = make("ul", "plain");
    for (const endpoint of pool.endpoints.slice(0, 100)) {
      const item = make("li"), kind = { candidate: "good", full: "warn", spare: "info" }[endpoint.position] || "bad";
      item.append(pill(endpoint.position, kind), ` ${endpoint.name}: ${endpoint.because}${endpoint.share ? `; ${Math.round(100 * endpoint.share)} %` : ""}`);
      list.append(item);
    }
    parts.push(list);
  }
  for (const note of it.notes) parts.push(make("p", "quiet", note));
  return parts;
}

// --- orders ------------------------------------------------------------------------------------

/** Asks the program something. The token goes in a header, never in an address. */
async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  if (token && /order|unlock/.test(path)) headers.Authorization = `Bearer ${token}`;
  try {
    const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), credentials: "omit", cache: "no-store" });
    return { ok: answer.ok, status: answer.status, text: (await answer.text()).trim() };
  } catch {
    return { ok: false, status: 0, text: `${tool()} does not answer` };
  }
}

let pending = null;
let afterToken = null;

for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());

$("lock").addEventListener("click", () => {
  if (token) { token = null; return renderLock(); }
  unlock(null);
});

function unlock(then) {
  afterToken = then;
  say($("token-wrong"), "");
  $("token-text").value = "";
  $("token").showModal();
}

$("token-form").addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  token = $("token-text").value.trim();
  const { ok, text } = await post("api/unlock", {});
  if (!ok) { token = null; return say($("token-wrong"), text); }
  $("token-text").value = "";
  $("token").close();
  renderLock();
  afterToken?.();
});

function renderLock() {
  show($("lock"), Boolean(state.orders));
  say($("lock"), token ? "Forget the token" : "Give orders…");
}

function ask(order, pool, key) {
  if (!token) return unlock(() => ask(order, pool, key));
  const of = state.pools[pool], endpoint = of.endpoints[key], others = sum(of);
  pending = { pool, endpoint: endpoint.name, admin: order };
  const drain = order === "drain", left = others.ready - (isDown(endpoint) ? 0 : 1);
  say($("order-title"), drain ? `Drain ${endpoint.name}?` : `Take ${endpoint.name} back?`);
  say($("order-what"), drain ?
    `${left ? `New sessions of pool ${pool} go elsewhere: ${left} of ${others.all} endpoints stay ready.` : `No endpoint of pool ${pool} would be left that is well: its clients would fail.`} The ${count(endpoint.sessions, "session")} that stand on it go on. A drain that would leave too few is refused.` :
    `It takes new sessions of pool ${pool} again, as far as its verdict (${endpoint.verdict}) lets it.`);
  show($("order-more"), drain);
  say($("order-command"), `${tool()} endpoint ${order} ${pool}/${endpoint.name}`);
  say($("order-do"), drain ? "Drain it" : "Take it back");
  say($("order-wrong"), "");
  $("order-reason").value = "";
  $("order-for").value = "";
  $("order").showModal();
}

$("order-form").addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  const order = { ...pending }, reason = $("order-reason").value.trim(), time = $("order-for").value;
  if (order.admin === "drain" && reason) order.reason = reason;
  if (order.admin === "drain" && time) order.for_seconds = Number(time);
  const { ok, status, text } = await post("api/order", order);
  if (ok) return $("order").close();
  if (status === 401) { token = null; renderLock(); }
  const said = text.startsWith("{") ? JSON.parse(text).messages.join(" ") : text;
  say($("order-wrong"), status === 409 ? `Refused: ${said}. This page cannot force it; the command line can.` : said);
});
