"use strict";
// Data, small builders for HTML and SVG, and the one place where the page's state lives.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

function bytesOf(text) {
  const raw = atob(text), found = new Uint8Array(raw.length);
  for (let at = 0; at < raw.length; at++) found[at] = raw.charCodeAt(at);
  return found;
}
const int8 = (text) => new Int8Array(bytesOf(text).buffer);
const uint16 = (text) => new Uint16Array(bytesOf(text).buffer);
function unpack(packed) {
  const whole = int8(packed.bytes), found = new Float32Array(whole.length);
  for (let at = 0; at < whole.length; at++) found[at] = whole[at] * packed.scale;
  return found;
}

// Text from the data only ever becomes text nodes, so no token can be markup.
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  for (const child of children.flat(9)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}
const el = (name, attributes, ...children) =>
  fill(document.createElement(name), attributes, children);
const svg = (name, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
const percent = (value, digits = 0) => `${(100 * value).toFixed(digits)} %`;
const dash = (value, digits = 2) => (value === null ? "–" : value.toFixed(digits));
function signed(value, digits = 3) {
  const size = Math.abs(value).toFixed(digits);
  return `${value < 0 && Number(size) ? "−" : "+"}${size}`;
}
const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
const describeRows = ({ split, origin, rows }) => `${split ? `${split} of ` : ""}${origin}: ${counted(rows, "row")}`;
// The colour of a signed value: blue for +, orange for −, told apart by all common eyes.
function tint(value, largest) {
  const share = clamp(Math.abs(value) / (largest || 1), 0, 1) ** 0.75;
  return `color-mix(in srgb, var(${value < 0 ? "--neg" : "--pos"}) ${Math.round(100 * share)}%, var(--cell))`;
}

const state = {
  site: data.main, count: null, links: 35, words: [], units: [], cluster: null,
  sentence: 0, label: 0, target: null, hover: null,
};
const listeners = [];
// Views say which keys they draw from, and are drawn again when one of them changes.
function watch(keys, draw) {
  listeners.push([keys, draw]);
}
function set(changes) {
  Object.assign(state, changes);
  for (const [keys, draw] of listeners) if (keys.some((key) => key in changes)) draw();
}

const opened = {};
function site(key = state.site) {
  if (!opened[key]) {
    const one = data.sites[key], part = data.parts[one.part];
    opened[key] = {
      ...one, key, mean: unpack(one.mean), wordCount: part.words.length, words: part.words,
      counts: part.counts, clusterings: {}, raw: one,
    };
    let largest = 0;
    for (const value of opened[key].mean) largest = Math.max(largest, Math.abs(value));
    opened[key].largest = largest;
  }
  return opened[key];
}
function clustering(key = state.site) {
  const one = site(key);
  const count = state.count in one.raw.clusterings ? state.count : one.chosen;
  if (!one.clusterings[count]) {
    const raw = one.raw.clusterings[count];
    one.clusterings[count] = {
      ...raw, count: raw.heights.length, words: int8(raw.words), units: int8(raw.units),
      score: unpack(raw.score), places: uint16(raw.places), positive: unpack(raw.positive),
      negative: unpack(raw.negative),
    };
  }
  return one.clusterings[count];
}
const response = (one, word, unit) => one.mean[word * one.units + unit];

function toggle(list, value, most) {
  return list.includes(value) ? list.filter((x) => x !== value) : [...list, value].slice(-most);
}
const pickWord = (word) => set({ words: toggle(state.words, word, 3), cluster: null });
const pickUnit = (unit) => set({ units: toggle(state.units, unit, 2), cluster: null });
const pickCluster = (at) => set({ cluster: state.cluster === at ? null : at });

// Light or dark, at first what the system says.
function turn() {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
}

const tip = $("#tip");
function showTip(event, text) {
  tip.textContent = text;
  tip.hidden = false;
  const { innerWidth, innerHeight } = window;
  const x = event.clientX || 20, y = event.clientY || 20;
  tip.style.left = `${Math.min(x + 14, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.min(y + 16, innerHeight - tip.offsetHeight - 8)}px`;
}
const hideTip = () => { tip.hidden = true; };

// One tab stop for a whole family of marks; arrow keys go from one to the next, Enter picks.
function rove(root, selector) {
  const marks = () => $$(selector, root);
  const first = marks()[0];
  if (first) first.setAttribute("tabindex", "0");
  root.addEventListener("keydown", (event) => {
    const here = event.target.closest && event.target.closest(selector);
    if (!here) return;
    const all = marks(), at = all.indexOf(here);
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1,
      Home: 0, End: all.length - 1 }[event.key];
    if (to !== undefined && all[to]) {
      here.setAttribute("tabindex", "-1");
      all[to].setAttribute("tabindex", "0");
      all[to].focus();
      event.preventDefault();
    } else if (event.key === "Enter" || event.key === " ") {
      here.dispatchEvent(new MouseEvent("click", { bubbles: true }));
      event.preventDefault();
    }
  });
}

// Axes and lines for the small charts.
function frame(width, height, pads, title) {
  const [top, right, bottom, left] = pads;
  const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  root.append(svg("title", {}, title));
  return { root, x0: left, x1: width - right, y0: height - bottom, y1: top };
}
const path = (points) => points.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
function label(x, y, text, anchor = "start", kind = "soft", size = 11) {
  return svg("text", { x, y, "text-anchor": anchor, class: kind, "font-size": size }, String(text));
}
function section(id, title, explain) {
  const root = el("section", { id, "aria-labelledby": `${id}-title` },
    el("h2", { id: `${id}-title` }, title), explain ? el("p", { class: "explain" }, explain) : null);
  $("#main").append(root);
  return root;
}
