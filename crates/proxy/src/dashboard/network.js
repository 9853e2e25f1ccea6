// The network: listeners, routes, pools, endpoints, and the wires between them.
"use strict";

let find = "";
const matches = (text) => text.toLowerCase().includes(find);

/** An endpoint: a line, and its details on demand. */
class Row {
  constructor(pool, key) {
    this.pool = pool;
    this.key = key;
    this.item = make("li");
    this.button = make("button", "row");
    this.button.type = "button";
    this.button.setAttribute("aria-expanded", "false");
    this.verdict = make("span");
    this.name = make("span", "id");
    this.label = make("span");
    this.where = make("span", "where");
    this.why = make("span", "why");
    this.count = make("span", "count");
    const open = make("span", "open", "›");
    open.setAttribute("aria-hidden", "true");
    this.name.append(this.label, " ", this.where);
    this.button.append(this.verdict, " ", this.name, " ", this.why, " ", this.count, " ", open);
    this.button.addEventListener("click", () => this.toggle());
    this.item.append(this.button);
  }

  get endpoint() { return state.pools?.[this.pool]?.endpoints[this.key]; }

  update() {
    const endpoint = this.endpoint;
    if (!endpoint) return;
    const { word, kind } = verdict(endpoint);
    setPill(this.verdict, word, kind);
    dress(this.item, kind === "bad" || kind === "warn" ? kind : "");
    say(this.label, endpoint.name);
    say(this.where, [named(endpoint), endpoint.backup ? "backup" : "", endpoint.weight === 1 ? "" : `weight ${endpoint.weight}`].filter(Boolean).join(", "));
    say(this.count, count(endpoint.sessions, "session"));
    this.age();
    if (this.details) this.fill();
  }

  age() {
    const endpoint = this.endpoint;
    if (!endpoint) return;
    const { kind } = verdict(endpoint), admin = endpoint.admin;
    const why = [];
    if (admin.state !== "ready") why.push(admin.reason ? `“${admin.reason}”` : "by an operator");
    if (endpoint.verdict !== "up" || endpoint.blind) why.push(endpoint.why);
    const length = span(seconds(endpoint.since));
    say(this.why, kind === "good" ? `for ${length}` : `${why.join("; ")}${admin.state === "ready" ? `; for ${length}` : admin.until ? `; until ${moment(admin.until)}` : ""}`);
  }

  toggle() {
    const open = !this.details;
    this.button.setAttribute("aria-expanded", String(open));
    if (!open) { this.details.remove(); this.details = null; wire(); return; }
    this.details = make("div", "details");
    this.facts = make("dl", "facts");
    this.actions = make("div", "buttons");
    this.past = make("div");
    this.details.append(this.facts, this.actions, this.past);
    this.item.append(this.details);
    this.fill();
    wire();
  }

  fill() {
    const endpoint = this.endpoint, admin = endpoint.admin;
    const facts = [
      ["Verdict", `${endpoint.verdict}: ${endpoint.why}`],
      ["Since", `${moment(endpoint.since)} UTC (${span(seconds(endpoint.since))})`],
      ["Address", endpoint.address],
      ["Sessions", endpoint.sessions.toLocaleString("en")],
      ["Weight", endpoint.file_weight ? `${endpoint.weight} (the file says ${endpoint.file_weight})` : String(endpoint.weight)],
      ["Failed dials", endpoint.failures.toLocaleString("en")],
    ];
    if (endpoint.results) facts.push(["Last probes", `${[...endpoint.results].filter((sign) => sign === "+").length} of ${endpoint.results.length} good`]);
    if (endpoint.correlated) facts.push(["Correlated", "it fell together with others"]);
    if (admin.state !== "ready") facts.push(["Ordered", [admin.state, admin.reason, admin.until && `until ${moment(admin.until)} UTC`].filter(Boolean).join(", ")]);
    setFacts(this.facts, facts);
    const buttons = [];
    if (state.orders) {
      const order = (admin.state === "ready" ? ["drain", "Drain…"] : ["ready", "Take back…"]);
      const button = make("button", "", order[1]);
      button.type = "button";
      button.addEventListener("click", () => ask(order[0], this.pool, this.key));
      buttons.push(button);
    }
    const text = admin.state + state.orders;
    if (this.actions.said !== text) { this.actions.said = text; this.actions.replaceChildren(...buttons); }
    const known = endpoint.verdict + endpoint.since + admin.state;
    if (this.known !== known) { this.known = known; this.history(); }
  }

  async history() {
    const into = this.past;
    const { ok, text } = await post("api/history", { pool: this.pool, endpoint: this.endpoint.name });
    if (into !== this.past) return;
    if (!ok) return into.replaceChildren(make("p", "wrong", text));
    const { results, events } = JSON.parse(text);
    const probes = make("ol", "past");
    for (const past of results.reverse()) {
      const item = make("li", past.good ? "" : "not", `${moment(past.at)} ${past.what}`);
      probes.append(item);
    }
    const told = make("ol", "past plain");
    for (const event of events.slice(-10).reverse()) told.append(make("li", "", `${moment(event.at)} ${event.message}`));
    const again = make("button", "text", "Ask again");
    again.type = "button";
    again.addEventListener("click", () => this.history());
    into.replaceChildren(...(results.length ? [make("h4", "", "Its last probes, newest first (UTC)"), probes] : [make("p", "quiet", "No probe has ended yet.")]),
      ...(events.length ? [make("h4", "", "What was told of it"), told] : []), again);
    wire();
  }
}

function setFacts(list, facts) {
  const text = JSON.stringify(facts);
  if (list.said === text) return;
  list.said = text;
  list.replaceChildren(...facts.flatMap(([term, fact]) => [make("dt", "", term), make("dd", "", fact)]));
}

/** A pool with its endpoints. */
class Pool {
  constructor(name) {
    this.name = name;
    this.rows = new Map();
    /** What the operator wants to see; null: what the page finds right. */
    this.whole = null;
    this.item = make("li", "pool");
    this.item.tabIndex = -1;
    this.head = make("div", "name");
    this.title = make("h3", "", name);
    this.verdict = make("span");
    this.counts = make("p", "counts quiet");
    this.ready = make("span");
    this.sessions = make("span");
    this.counts.append(this.ready, " ", this.sessions);
    this.head.append(this.title, this.verdict, this.counts);
    this.body = make("div", "rows");
    this.list = make("ul", "plain");
    this.list.setAttribute("aria-label", `Endpoints of pool ${name}`);
    this.more = make("button", "text more");
    this.more.type = "button";
    this.more.addEventListener("click", () => { this.whole = !this.isWhole; this.arrange(); wire(); });
    this.body.append(this.list, this.more);
    this.item.append(this.head, this.body);
  }

  get pool() { return state.pools[this.name]; }

  /** What changed: keys of its endpoints, or null for all. */
  update(keys) {
    const pool = this.pool, known = sums[this.name], it = sum(pool);
    sums[this.name] = it;
    this.item.id = `pool-${pool.place}`;
    setPill(this.verdict, it.word, it.kind);
    const quorum = pool.quorum && it.all > 1 ? `, ${pool.quorum.ready < pool.quorum.needed ? `needs ${pool.quorum.needed}` : `can lose ${pool.quorum.can_lose}`}` : "";
    say(this.ready, `${it.ready} of ${it.all} ready${quorum}`);
    say(this.sessions, `${count(it.sessions, "session")}${pool.queued ? `, ${pool.queued} wait` : ""}`);
    for (const key of keys || this.rows.keys()) this.rows.get(key)?.update();
    const order = this.order();
    if (order !== this.ordered || !known || known.kind !== it.kind) { this.ordered = order; this.arrange(); return true; }
    return false;
  }

  /** What decides which endpoints are shown, and where. */
  order() {
    return find + byPlace(this.pool.endpoints).map(([key, it]) => key + (isDown(it) ? 1 : 0)).join();
  }

  arrange() {
    const all = byPlace(this.pool.endpoints), down = all.filter(([, it]) => isDown(it));
    const slim = Object.keys(state.pools).length > POOLS;
    let shown, rest;
    if (find && !matches(this.name)) {
      shown = all.filter(([key]) => matches(key)).slice(0, FOUND);
      rest = "";
    } else {
      const natural = slim ? down.slice(0, ROWS) : all.length <= ROWS ? all : down.slice(0, ROWS);
      this.isWhole = this.whole ?? natural.length === all.length;
      shown = this.isWhole ? all : natural;
      const left = all.length - natural.length;
      const others = natural.length ? (left > down.length - natural.length && down.length <= natural.length ? `${left.toLocaleString("en")} more that are up` : `all ${all.length.toLocaleString("en")}`) : count(all.length, "endpoint");
      rest = !left ? "" : this.isWhole ? "Show fewer" : `Show ${others}`;
    }
    dress(this.item, `pool ${sums[this.name].kind}${slim && !shown.length ? " slim" : ""}`);
    const keys = new Set(shown.map(([key]) => key));
    for (const key of this.rows.keys()) if (!keys.has(key)) this.rows.delete(key);
    const rows = shown.map(([key]) => {
      let row = this.rows.get(key);
      if (!row) { row = new Row(this.name, key); this.rows.set(key, row); row.update(); }
      return row.item;
    });
    dress(this.body, `rows${rows.length > 30 ? " long" : ""}`);
    dress(this.list, `plain${rows.length > 30 ? " rows long" : ""}`);
    arrange(this.list, rows);
    say(this.more, rest);
    this.more.setAttribute("aria-label", `${rest}, of pool ${this.name}`);
    show(this.more, Boolean(rest));
    show(this.item, !find || matches(this.name) || rows.length > 0);
  }
}

/** A listener with its routes. */
class Listener {
  constructor(name) {
    this.name = name;
    this.item = make("li", "listener");
    const head = make("div");
    this.speaks = make("span", "quiet");
    const title = make("h3", "", `${name} `);
    title.append(this.speaks);
    this.addresses = make("p");
    this.counts = make("p", "quiet counts");
    head.append(title, this.addresses, this.counts);
    const body = make("div", "routes");
    this.list = make("ol", "plain");
    this.list.setAttribute("aria-label", `Routes of listener ${name}`);
    this.more = make("button", "text more");
    this.more.type = "button";
    this.more.addEventListener("click", () => { this.whole = !this.whole; this.update(true); wire(); });
    body.append(this.list, this.more);
    this.item.append(head, body);
    this.routes = [];
  }

  /** `structure`: routes may differ. Else only what they lead to may. */
  update(structure) {
    const listener = state.listeners[this.name];
    say(this.speaks, listener.speaks || "");
    say(this.addresses, listener.addresses.join(", "));
    say(this.counts, count(listener.sessions, "session"));
    const routes = listener.routes || [];
    if (structure || this.routes.length !== routes.length) {
      this.routes = routes.map((route, index) => this.route(route, index, routes.length));
      this.shown = null;
    }
    for (const route of this.routes) dress(route.item, route.to.map((to) => sums[to.pool]?.kind).sort(worse)[0] || "");
    const wanted = (route, index) => find ? matches(route.text) || route.to.some((to) => matches(to.pool)) :
      this.whole || routes.length <= ROUTES + 4 || index < ROUTES || /bad|warn/.test(route.item.className);
    const shown = this.routes.filter(wanted), text = shown.map((route) => route.index).join();
    if (this.shown !== text) {
      this.shown = text;
      arrange(this.list, shown.map((route) => route.item));
      const left = find ? 0 : routes.length - shown.length;
      say(this.more, this.whole ? "Show fewer routes" : `Show all ${routes.length} routes`);
      show(this.more, left > 0 || Boolean(this.whole && routes.length > ROUTES + 4));
      wire();
    }
  }

  route(route, index, of) {
    const item = make("li");
    // `sni in [a.example]` says no more than `sni a.example`.
    const when = route.when === "always" ? (of === 1 ? "everything" : "everything else") : route.when.replace(/ in \[([^,[\]]*)\]/g, " $1");
    const total = route.to.reduce((n, to) => n + to.share, 0) || 1;
    const share = (to) => route.to.length > 1 ? ` ${Math.round((100 * to.share) / total)} %` : "";
    item.append(make("span", "when", when), " ", make("span", "to", `→ ${route.to.map((to) => to.pool + share(to)).join(", ")}`));
    item.addEventListener("pointerenter", () => light(route.to, true));
    item.addEventListener("pointerleave", () => light(route.to, false));
    return { item, index, to: route.to, text: when };
  }
}

const worse = (a, b) => ["bad", "warn", "info", "good", undefined].indexOf(a) - ["bad", "warn", "info", "good", undefined].indexOf(b);
const pools = new Map(), listeners = new Map();

function renderNetwork(patch) {
  let moved = false;
  if (!patch || patch.pools) {
    for (const name of pools.keys()) if (!state.pools[name]) { pools.delete(name); delete sums[name]; moved = true; }
    const names = patch ? Object.keys(patch.pools) : Object.keys(state.pools);
    for (const name of names) {
      if (!state.pools[name]) continue;
      if (!pools.has(name)) { pools.set(name, new Pool(name)); moved = true; }
      const endpoints = patch?.pools[name]?.endpoints;
      moved = pools.get(name).update(patch ? Object.keys(endpoints || {}) : null) || moved;
    }
    if (moved || !patch) {
      // Those in trouble first where there are many.
      const order = byPlace(state.pools).map(([name]) => name);
      if (order.length > POOLS) order.sort((a, b) => worse(sums[a].kind, sums[b].kind) || state.pools[a].place - state.pools[b].place);
      arrange($("pools"), order.map((name) => pools.get(name).item));
    }
  }
  if (!patch || patch.listeners || moved) {
    for (const name of listeners.keys()) if (!state.listeners[name]) listeners.delete(name);
    for (const [name] of byPlace(state.listeners)) {
      if (!listeners.has(name)) { listeners.set(name, new Listener(name)); moved = true; }
      listeners.get(name).update(!patch || Boolean(patch.listeners?.[name]?.routes));
    }
    arrange($("listeners"), byPlace(state.listeners).map(([name]) => listeners.get(name).item));
    const choice = $("x-listener"), text = Object.keys(state.listeners).join();
    if (choice.said !== text) {
      choice.said = text;
      choice.replaceChildren(new Option("the one that fits", ""), ...byPlace(state.listeners).map(([name]) => new Option(name, name)));
    }
  }
  if (moved || !patch) wire();
}

// Wires between routes and pools: drawn anew when the layout has changed, at most once a frame.
let wiring = false;
function wire() {
  if (wiring) return;
  wiring = true;
  requestAnimationFrame(() => { wiring = false; drawWires(); });
}

function drawWires() {
  const wires = $("wires");
  if (getComputedStyle(wires).display === "none") return;
  const origin = $("net").getBoundingClientRect(), ends = new Map(), paths = [];
  for (const [name, pool] of pools) {
    if (!pool.item.hidden) { const box = pool.item.getBoundingClientRect(); ends.set(name, [box.left - origin.left, box.top - origin.top + Math.min(22, box.height / 2)]); }
  }
  for (const listener of listeners.values()) {
    for (const { item, to } of listener.routes) {
      if (!item.isConnected) continue;
      const box = item.getBoundingClientRect(), from = listener.item.getBoundingClientRect();
      const x = from.right - origin.left, y = box.top - origin.top + box.height / 2;
      for (const { pool } of to) {
        if (!ends.has(pool)) continue;
        const [tx, ty] = ends.get(pool), bend = Math.max(20, (tx - x) / 2);
        const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
        path.setAttribute("d", `M${x} ${y}C${x + bend} ${y} ${tx - bend} ${ty} ${tx} ${ty}`);
        path.setAttribute("class", sums[pool].kind);
        path.pool = pool;
        paths.push(path);
      }
    }
  }
  paths.sort((a, b) => worse(sums[b.pool].kind, sums[a.pool].kind));
  wires.replaceChildren(...paths);
}

function light(to, on) {
  for (const path of $("wires").children) if (to.some((it) => it.pool === path.pool)) path.classList.toggle("lit", on);
}
