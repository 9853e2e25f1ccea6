// The dashboard. The program sends the state of everything once, then what changes of it each second
// (merge patches, RFC 7396). The page keeps that state and touches only what changed.
"use strict";

const $ = (id) => document.getElementById(id);
/** Endpoints of a pool that are shown before somebody asks for more. */
const ROWS = 8;
/** Routes of a listener that are shown before somebody asks for more. */
const ROUTES = 24;
/** With more pools than this, those that are well take one line each. */
const POOLS = 8;
/** Endpoints that a search shows in one pool. */
const FOUND = 50;
/** Problems that are told beside the first. */
const PROBLEMS = 15;
/** Events that are listed. */
const EVENTS = 200;
/** Without a word for so long (ms) the page says that it is old. */
const SILENT = 5000;
/** A certificate with fewer days than this should have been renewed. */
const SOON = 14;

let state = {};
let token = null;

// --- small tools -------------------------------------------------------------------------------

function make(tag, kind, text) {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** Writes a text only if it differs: what stays costs no layout. */
function say(node, text) {
  if (node.said !== text) { node.said = text; node.textContent = text; }
}

function dress(node, kind) {
  if (node.className !== kind) node.className = kind;
}

function show(node, shown) {
  if (node.hidden === shown) node.hidden = !shown;
}

/** Puts nodes into a list in this order, moving only those that are elsewhere. */
function arrange(list, nodes) {
  nodes.forEach((node, place) => {
    if (list.children[place] !== node) list.insertBefore(node, list.children[place] || null);
  });
  while (list.children.length > nodes.length) list.lastElementChild.remove();
}

const byPlace = (table) => Object.entries(table || {}).sort((a, b) => a[1].place - b[1].place);
const count = (n, one, many) => `${n.toLocaleString("en")} ${n === 1 ? one : many || one + "s"}`;
const seconds = (from) => Math.max(0, (now() - Date.parse(from)) / 1000);
const named = (endpoint) => endpoint.name === endpoint.address ? "" : endpoint.address;
const words = (list) => list.length < 2 ? list.join("") : `${list.slice(0, -1).join(", ")} and ${list.at(-1)}`;

/** A few of many names. */
function few(names) {
  return names.length <= 4 ? words(names) : `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`;
}

function span(total) {
  const s = Math.floor(total), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
  if (d >= 2) return `${d} days`;
  if (h) return `${h} h${m % 60 ? ` ${m % 60} min` : ""}`;
  return m ? `${m} min` : `${s} s`;
}

/** The program's own clock, carried on: the browser's may be wrong. */
let clock = { at: 0, heard: 0 };
const now = () => clock.at + (performance.now() - clock.heard);
const today = () => new Date(now()).toISOString().slice(0, 10);
const moment = (at) => (at.slice(0, 10) === today() ? "" : at.slice(0, 10) + " ") + at.slice(11, 19);

// --- what is what ------------------------------------------------------------------------------

const SIGNS = { good: "●", warn: "▲", bad: "✕", info: "■", "": "○" };
const GRAVE = { 2: ["critical", "bad"], 3: ["error", "bad"], 4: ["warning", "warn"], 5: ["notice", "info"], 6: ["info", ""] };

/** How an endpoint is, in a word and a colour. */
function verdict(endpoint) {
  const wanted = endpoint.admin.state;
  const kinds = { up: "good", dead: "bad", suspect: "warn", draining: "warn", unresolved: "warn", unknown: "info" };
  let word = endpoint.verdict, kind = kinds[word] || "info";
  if (word === "up" && endpoint.blind) [word, kind] = ["up, blind", "info"];
  if (wanted === "ready") return { word, kind };
  const ordered = wanted === "drain" ? "drained" : "maint";
  return { word: endpoint.verdict === "up" ? ordered : `${ordered}, ${endpoint.verdict}`, kind: "info" };
}

/** What the endpoints of a pool come to. */
function sum(pool) {
  const sum = { all: 0, up: 0, ready: 0, sessions: 0, dead: [], odd: [], out: [], unknown: 0 };
  for (const [, endpoint] of byPlace(pool.endpoints)) {
    sum.all += 1;
    sum.sessions += endpoint.sessions;
    if (endpoint.admin.state !== "ready") { sum.out.push(endpoint); continue; }
    if (endpoint.verdict === "up") { sum.up += 1; sum.ready += 1; }
    else if (endpoint.verdict === "unresolved") { sum.ready += 1; sum.odd.push(endpoint); }
    else if (endpoint.verdict === "dead") sum.dead.push(endpoint);
    else if (endpoint.verdict === "unknown") sum.unknown += 1;
    else sum.odd.push(endpoint);
  }
  sum.lost = Boolean(pool.quorum) && sum.all > 1 && pool.quorum.ready < pool.quorum.needed;
  const bad = sum.lost || pool.correlated || (pool.availability !== "fine" && sum.unknown < sum.all);
  sum.kind = bad ? "bad" : sum.dead.length || sum.odd.length || pool.queued ? "warn" : sum.out.length || sum.unknown ? "info" : "good";
  sum.word = sum.lost ? "quorum lost" : pool.correlated ? "correlated" : pool.availability === "nobody" ? (bad ? "nobody" : "not probed") :
    pool.availability === "panic" ? "panic" : sum.dead.length ? "not all" : sum.odd.length || pool.queued ? "doubtful" : sum.out.length ? "drained" : "fine";
  return sum;
}

let sums = {};
const isDown = (endpoint) => endpoint.admin.state !== "ready" || endpoint.verdict !== "up";
const tool = () => state.program || "eclusa-apiserver";
