// What comes live, and what is drawn anew for it. Loaded last.
"use strict";

/** Endpoints that are drawn anew in one frame. */
const AT_ONCE = 40;

function merge(into, patch) {
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete into[key];
    else if (typeof value === "object" && !Array.isArray(value) && into[key] && typeof into[key] === "object") merge(into[key], value);
    else into[key] = value;
  }
}

/** A patch in parts that are drawn a frame each: a thousand endpoints that fall at once hold up nobody. */
function parts(patch) {
  const parts = [];
  let pools = {}, size = 0;
  for (const [name, pool] of Object.entries(patch.pools || {})) {
    const changed = Object.entries(pool?.endpoints || {});
    for (let at = 0; at === 0 || at < changed.length; at += AT_ONCE) {
      const some = changed.slice(at, at + AT_ONCE);
      pools[name] = pool && { ...pool, endpoints: Object.fromEntries(some) };
      size += some.length;
      if (size >= AT_ONCE) { parts.push({ pools, more: true }); pools = {}; size = 0; }
    }
  }
  parts.push(patch.pools ? { ...patch, pools } : patch);
  return parts;
}

const waiting = [];
let drawing = false;
function draw() {
  const patch = waiting.shift();
  try {
    if (patch?.more) renderNetwork(patch);
    else if (patch) render(patch);
  } finally {
    drawing = waiting.length > 0;
    if (drawing) requestAnimationFrame(draw);
  }
}

/** Draws what a patch touched; without one, everything. */
function render(patch) {
  const has = (...keys) => !patch || keys.some((key) => key in patch);
  if (has("pools", "listeners")) renderNetwork(patch);
  if (has("certificates")) renderCertificates();
  if (has("overrides")) renderOrders();
  if (has("events")) renderEvents();
  if (has("orders", "program")) renderLock();
  renderState();
  renderService();
  for (const pool of pools.values()) for (const row of pool.rows.values()) row.age();
}

let owed = false;
function heard(patch) {
  clock = { at: Date.parse(state.at), heard: performance.now() };
  say($("program"), state.program);
  // What nobody sees is not drawn.
  if (document.hidden) { owed = true; return; }
  if (patch) waiting.push(...parts(patch));
  else { waiting.length = 0; render(null); }
  if (!drawing) draw();
  renderClock();
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && owed && state.at) { owed = false; waiting.length = 0; render(null); }
});

let source = null;
function listen() {
  source?.close();
  source = new EventSource("live");
  source.addEventListener("all", (event) => { state = JSON.parse(event.data); heard(null); });
  source.addEventListener("part", (event) => {
    const patch = JSON.parse(event.data) || {};
    merge(state, patch);
    heard(patch);
  });
  source.addEventListener("error", () => {
    // A browser tries again by itself unless it was told to go away.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  });
}

function renderClock() {
  const silent = performance.now() - clock.heard, old = silent > SILENT;
  dress($("pulse"), `pulse ${old ? "off" : "on"}`);
  if (clock.heard) say($("clock-text"), `${new Date(Date.parse(state.at)).toISOString().slice(11, 19)} UTC, ${old ? "not live" : "live"}`);
  const stale = $("stale"), tell = old && (clock.heard || performance.now() > SILENT);
  show(stale, Boolean(tell));
  if (tell) {
    say(stale, clock.heard ?
      `No word for ${span(silent / 1000)}: what you see is old. Does the program run (systemctl status ${tool()})? Is the way to this host (ssh -L) still there? Or do as many look as may (dashboard.viewers_max)?` :
      "No word from the program yet: it may be stopping, or as many look as may (dashboard.viewers_max).");
  }
}

$("find").addEventListener("input", (event) => {
  find = event.target.value.trim().toLowerCase();
  if (!state.pools) return;
  for (const pool of pools.values()) { pool.ordered = null; pool.update(null); }
  for (const listener of listeners.values()) listener.update(false);
  wire();
});
$("grave").addEventListener("change", () => state.events && renderEvents());
$("state").addEventListener("click", (event) => {
  const target = event.target.closest("a") && document.getElementById(event.target.closest("a").hash.slice(1));
  if (target) setTimeout(() => target.focus({ preventScroll: true }));
});
new ResizeObserver(wire).observe($("net"));
setInterval(renderClock, 1000);
listen();
