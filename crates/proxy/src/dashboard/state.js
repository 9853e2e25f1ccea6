// How it is: everything that is wrong, the gravest first, with what to do next.
"use strict";

/** Everything that is wrong, the gravest first: what, why, and what to do next. */
function problems() {
  const all = [];
  const add = (grave, title, why, next, to) => all.push({ grave, title, why, next, to });
  if (state.file_refused) {
    add(3, "The configuration file is refused; what was in force before goes on", state.file_refused.split("\n")[0],
      [`Correct the file: `, `${tool()} check`, ` tells every mistake; then `, `systemctl reload ${tool()}`, `.`]);
  } else if (state.last_reload && !state.last_reload.succeeded) {
    add(4, "The last reload was refused; nothing has changed", state.last_reload.message,
      [`Correct the file: `, `${tool()} check`, ` tells every mistake; then reload again.`]);
  }
  if (state.unconfirmed) {
    add(4, `What is in force goes back at ${moment(state.unconfirmed.until)} UTC unless it is confirmed`,
      state.unconfirmed.trouble || `${state.unconfirmed.by} has put it in force`, ["All is well: ", `${tool()} confirm`, `. It is not: `, `${tool()} rollback`, "."]);
  }
  if (state.drill) {
    const { fault, pool, endpoint, by, reason, until, connections: met } = state.drill;
    add(4, `Drill: ${fault} of ${pool}/${endpoint}, until ${moment(until)} UTC`,
      `${by}${reason ? `, “${reason}”` : ""}. Verdicts on it are the drill's doing. Of ${count(met.met, "connection")} to it ${met.elsewhere} reached another endpoint, ${met.failed} none.`,
      ["It ends by itself; ", `${tool()} drill stop`, " ends it now."], state.pools[pool] && `pool-${state.pools[pool].place}`);
  }
  if (state.gone_back) {
    add(3, "Not the file is in force: what was so before it goes on", state.gone_back.split("\n")[0],
      ["Correct the file before the next boot, which takes it as it is: ", `${tool()} plan`, ", then ", `${tool()} reload`, "."]);
  }
  if (state.stopping) add(4, "The service stops", "It takes no more load; sessions end by themselves.", null);
  const stuck = (state.workers || []).flatMap((worker, index) => worker.alive ? [] : [index]);
  if (stuck.length) {
    add(3, `Worker ${stuck.join(", ")} gives no sign of life`, "It is replaced on the same sockets; its sessions stay with it.",
      ["Once under heavy load is no reason to worry. Look at this host: ", "vmstat 1", ", ", `journalctl -u ${tool()} -n 50`, "."]);
  }
  for (const [name, pool] of byPlace(state.pools)) ofPool(name, pool, sums[name] || sum(pool), add);
  for (const certificate of Object.values(state.certificates || {})) {
    const days = Math.floor((Date.parse(certificate.not_after) - now()) / 86400000);
    if (days >= SOON) continue;
    const whose = certificate.names.join(", ") || certificate.path;
    const next = certificate.path.startsWith("/") ?
      ["Renew it in place (", "certbot renew", "); it is served within two seconds, without a reload."] :
      ["It is the endpoint's own: renew it there (masters: ", "kubeadm certs renew all", ")."];
    add(days < 0 ? 2 : 4, days < 0 ? `The certificate for ${whose} has ended` : `The certificate for ${whose} ends in ${count(days, "day")}`,
      `${certificate.path}, at ${certificate.not_after}`, next, "certificates");
  }
  for (const it of all) it.why = it.why.slice(0, 1).toUpperCase() + it.why.slice(1);
  return all.sort((a, b) => a.grave - b.grave);
}

function ofPool(name, pool, sum, add) {
  const to = `pool-${pool.place}`;
  const dead = sum.dead.map((it) => it.name), odd = sum.odd.map((it) => it.name);
  const since = (list) => span(Math.max(...list.map((it) => seconds(it.since))));
  const because = (list) => list.length ? `${few([...new Set(list.map((it) => it.why))])}; for ${since(list)}.` : "";
  const masters = Boolean(pool.quorum);
  const mend = masters ?
    ["On the master: ", "systemctl status kubelet", ", ", "crictl ps -a", " (kube-apiserver, etcd). It comes back by itself once it answers."] :
    ["Look at the endpoint's own log. It comes back by itself once it answers; ", `${tool()} status ${name}`, " shows its last probes."];
  if (sum.lost) {
    add(2, `Quorum lost: ${pool.quorum.ready} of ${pool.quorum.members} masters ready, etcd needs ${pool.quorum.needed}`,
      `Pool ${name}: ${dead.length ? few(dead) + " dead" : "not ready"}. ${pool.correlated ? "They fell together: this host or its network may be at fault, see below." : "Writes to the cluster fail until one more is back."}`,
      ["Bring one master back first, whichever is nearest: ", "systemctl status kubelet", ", ", "crictl ps -a | grep etcd", ". Drain nothing now."], to);
  }
  if (pool.correlated) {
    add(2, `Pool ${name}: its endpoints fell together`, "This host or its network is suspected first: nothing is cut, traffic goes to what answers least badly.",
      ["Look at this host first: ", "ip -br link", ", ", "ip route", ", ", "ss -s", ", its firewall. Only then at the endpoints."], to);
  } else if (pool.availability === "nobody" && sum.unknown < sum.all) {
    add(2, `Pool ${name}: no endpoint can take a session`, sum.out.length ? `${few(sum.out.map((it) => it.name))}: taken out by an operator. ${dead.length ? because(sum.dead) : ""}` : because([...sum.dead, ...sum.odd]),
      sum.out.length ? ["Take one back: ", `${tool()} endpoint ready ${name}/${sum.out[0].name}`, "."] : mend, to);
  } else if (pool.availability === "panic") {
    add(2, `Pool ${name}: no endpoint is well`, "It sends to the least bad of them. " + because([...sum.dead, ...sum.odd]), mend, to);
  }
  if (!sum.lost && dead.length && pool.availability === "fine") {
    const left = masters ? ` ${pool.quorum.ready} of ${pool.quorum.members} ready: ${pool.quorum.can_lose ? `${pool.quorum.can_lose} more may be lost` : "no other may be lost"}.` : ` ${sum.up} of ${sum.all} go on.`;
    const title = dead.length === 1 ? `${dead[0]} is dead` : `${dead.length} of ${sum.all} endpoints are dead`;
    add(masters && !pool.quorum.can_lose ? 3 : 4, `Pool ${name}: ${title}`, (dead.length > 1 ? few(dead) + ": " : "") + because(sum.dead) + left, mend, to);
  }
  if (odd.length && pool.availability === "fine") {
    add(4, `Pool ${name}: ${odd.length === 1 ? `${odd[0]} is ${sum.odd[0].verdict}` : `${odd.length} endpoints are in doubt`}`,
      (odd.length > 1 ? few(odd) + ": " : "") + because(sum.odd),
      sum.odd.every((it) => it.verdict === "suspect") ? ["A probe is on its way and decides; wait a few seconds."] : mend, to);
  }
  if (pool.queued) {
    add(4, `Pool ${name}: ${count(pool.queued, "session")} wait for an endpoint`, "Every endpoint that is well is at its limit.",
      ["Raise ", "sessions_max", " of its endpoints, or add one."], to);
  }
}

// --- how it is ---------------------------------------------------------------------------------

function renderState() {
  const all = problems(), worst = all.length ? all[0].grave : 9;
  const kind = worst <= 2 ? "bad" : worst <= 4 ? "warn" : "";
  dress($("state"), `state ${kind}`);
  let ready = 0, total = 0, out = 0, unknown = 0;
  for (const it of Object.values(sums)) { ready += it.ready; total += it.all; out += it.out.length; unknown += it.unknown; }
  const sessions = (state.workers || []).reduce((n, worker) => n + worker.sessions, 0);
  const head = all.length ? all[0].title : unknown && !ready ? "No endpoint has been asked yet" : "All is well";
  const masters = Object.values(state.pools || {}).find((pool) => pool.quorum && pool.quorum.members > 1);
  say($("headline"), head);
  say($("why"), all.length ? all[0].why : "");
  advise($("next"), all.length ? all[0] : {});
  say($("summary"), [
    all.length > 1 ? `${count(all.length - 1, "more problem")} below` : "",
    `${ready.toLocaleString("en")} of ${count(total, "endpoint")} ready`,
    masters && !all.length ? `${masters.quorum.can_lose} may be lost` : "",
    out ? `${out} taken out by an operator` : "",
  ].filter(Boolean).join(", ") + ".");
  document.title = `${all.length ? `(${all.length}) ${head}` : head} · ${tool()}`;
  say($("about"), `${state.version}, generation ${state.generation}, ${count(sessions, "session")}`);
  // What is still wrong keeps its place in the page, and whoever reads it the focus.
  const shown = all.slice(1, 1 + PROBLEMS);
  for (const title of told.keys()) if (!shown.some((it) => it.title === title)) told.delete(title);
  arrange($("problems"), shown.map((it) => {
    if (!told.has(it.title)) told.set(it.title, new Problem());
    return told.get(it.title).update(it).item;
  }));
  say($("further"), all.length > PROBLEMS + 1 ? `And ${all.length - PROBLEMS - 1} more: see below.` : "");
}

const told = new Map();

class Problem {
  constructor() {
    this.item = make("li");
    this.grave = make("span");
    this.title = make("h3");
    this.why = make("p");
    this.next = make("p", "next");
    const body = make("div");
    body.append(this.title, this.why, this.next);
    this.item.append(this.grave, body);
  }

  update({ grave, title, why, next, to }) {
    setPill(this.grave, ...GRAVE[grave]);
    say(this.title, title);
    say(this.why, why);
    advise(this.next, { next, to });
    return this;
  }
}

/** What to do next, and where in the page it is. */
function advise(line, { next, to }) {
  const text = JSON.stringify([next, to]);
  if (line.said === text) return;
  line.said = text;
  line.replaceChildren(...(next ? [make("b", "", "Next: "), ...next.map((part, index) => index % 2 ? make("code", "", part) : part)] : []));
  if (!to) return;
  const link = make("a", "", "Show it");
  link.href = `#${to}`;
  line.append(" ", link);
}

function pill(word, kind) {
  const node = make("span");
  return setPill(node, word, kind), node;
}

function setPill(node, word, kind) {
  dress(node, `pill ${kind}`);
  if (node.word === word && node.kind === kind) return;
  [node.word, node.kind] = [word, kind];
  const sign = make("span", "", SIGNS[kind] || SIGNS[""]);
  sign.setAttribute("aria-hidden", "true");
  node.replaceChildren(sign, word);
}
