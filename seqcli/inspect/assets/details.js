"use strict";
// The panel beside the overview: words, units, or a cluster.
function buildDetails() {
  watch(["words", "units", "cluster", "site", "count"], drawDetails);
  drawDetails();
}

function drawDetails() {
  const cards = [];
  if (state.cluster !== null && state.cluster < clustering().count) cards.push(clusterCard(state.cluster));
  const order = state.words.length ? unitOrder(state.words[0]) : [];
  for (const word of state.words) cards.push(wordCard(word, order));
  if (state.units.length) cards.push(el("div", { class: state.units.length > 1 ? "pair" : "" }, state.units.map(unitCard)));
  if (!cards.length) cards.push(hints());
  $("#details").replaceChildren(...cards);
}

function hints() {
  const one = site();
  return el("div", { class: "card" }, el("p", {}, "Pick up to three words, two units, or a cluster."),
    el("p", { class: "explain" }, "The units that tell words apart most:"),
    el("p", { class: "wordlist" }, one.telling.slice(0, 12).map((unit) =>
      el("span", { onclick: () => pickUnit(unit) }, `unit ${unit}`))),
    el("p", { class: "explain" }, "Keys: / finds a word or a unit, arrows move, Enter picks, Esc clears."));
}

function unitOrder(word) {
  const one = site();
  return Array.from({ length: one.units }, (_, unit) => unit)
    .sort((a, b) => response(one, word, a) - response(one, word, b));
}

function bandsOf(word) {
  const raw = site().raw.bands;
  if (!raw || word >= raw.count) return null;
  if (!raw.values) raw.values = unpack(raw);
  return (which, unit) => raw.values[(word * 4 + which) * site().units + unit];
}

function wordCard(word, order) {
  const one = site(), found = clustering(), bands = bandsOf(word), part = data.parts[one.part];
  const { root, x0, x1, y0, y1 } = frame(316, 132, [8, 6, 18, 36], `Response of every unit to ${one.words[word]}`);
  const top = one.largest * 1.15, x = (at) => x0 + (at / Math.max(1, order.length - 1)) * (x1 - x0);
  const y = (value) => y0 + ((clamp(value, -top, top) + top) / (2 * top)) * (y1 - y0);
  const band = (low, high, opacity) => {
    const up = order.map((unit, at) => [x(at), y(bands(high, unit))]);
    const down = order.map((unit, at) => [x(at), y(bands(low, unit))]).reverse();
    return svg("path", { d: `${path([...up, ...down])}Z`, fill: "var(--accent)", opacity });
  };
  if (bands) root.append(band(0, 3, 0.16), band(1, 2, 0.28));
  for (const value of [-one.largest, 0, one.largest]) {
    root.append(svg("line", { class: value ? "grid" : "axis", x1: x0, x2: x1, y1: y(value), y2: y(value) }),
      label(x0 - 5, y(value) + 4, value.toFixed(1), "end"));
  }
  root.append(svg("path", { class: "line", d: path(order.map((unit, at) => [x(at), y(response(one, word, unit))])) }),
    label((x0 + x1) / 2, 130, state.words[0] === word ? "units, by this response" : `units, ordered as for ${one.words[state.words[0]]}`, "middle"));
  const pole = found.words[word] < 0 ? "no response" : `cluster ${found.words[word] + 1}, ${found.score[word] < 0 ? "−" : "+"} pole`;
  return el("div", { class: "card", "data-card": "word" },
    el("header", {}, el("b", {}, one.words[word]), el("button", { "aria-label": "remove", onclick: () => pickWord(word) }, "×")),
    el("p", { class: "facts" }, `${one.counts[word].toLocaleString("en")} times · ${pole}`), root,
    el("p", { class: "explain" }, bands
      ? `Mean, 25–75 % and 9–91 % of ${part.sampled[word].toLocaleString("en")} occurrences. A response mixes the word with its contexts.`
      : "Mean; the percentiles of this word are in the .npz."));
}

function unitCard(unit) {
  const one = site(), raw = one.raw.boxes, found = clustering();
  if (!raw.values) { raw.values = unpack(raw); raw.index = uint16(raw.words); }
  const narrow = state.units.length > 1, width = narrow ? 150 : 316, high = 20;
  const { root, x0, x1 } = frame(width, raw.count * high + 24, [4, 6, 18, narrow ? 58 : 90], `Words that move unit ${unit} most`);
  const top = one.largest * 1.15, x = (value) => x0 + ((clamp(value, -top, top) + top) / (2 * top)) * (x1 - x0);
  root.append(svg("line", { class: "axis", x1: x(0), x2: x(0), y1: 2, y2: raw.count * high + 4 }));
  for (const value of [-one.largest, 0, one.largest]) root.append(label(x(value), raw.count * high + 18, value.toFixed(1), "middle"));
  for (let at = 0; at < raw.count; at++) {
    const word = raw.index[unit * raw.count + at], y = at * high + 12;
    const five = Array.from({ length: 5 }, (_, which) => raw.values[(unit * raw.count + at) * 5 + which]);
    const kind = response(one, word, unit) < 0 ? "neg" : "pos";
    const name = one.words[word];
    root.append(svg("text", { x: x0 - 6, y: y + 4, "text-anchor": "end", "font-size": 12, class: "token", onclick: () => pickWord(word) },
        short(name, narrow ? 7 : 13)),
      svg("line", { class: "axis", x1: x(five[0]), x2: x(five[4]), y1: y, y2: y, style: `stroke:var(--${kind})` }),
      svg("rect", { class: kind, x: x(five[1]), y: y - 5, width: Math.max(1.5, x(five[3]) - x(five[1])), height: 10, rx: 2, opacity: 0.55 }),
      svg("line", { x1: x(five[2]), x2: x(five[2]), y1: y - 6, y2: y + 6, stroke: "var(--ink)", "stroke-width": 1.5 }));
  }
  const facts = unitFacts(one, unit);
  return el("div", { class: "card", "data-card": "unit" },
    el("header", {}, el("b", {}, `unit ${unit}`), el("button", { "aria-label": "remove", onclick: () => pickUnit(unit) }, "×")),
    el("p", { class: "facts" }, found.units[unit] < 0 ? "no response" : `cluster ${found.units[unit] + 1}`), root,
    el("p", { class: "explain" }, facts));
}

function unitFacts(one, unit) {
  const numbers = one.unit_numbers, said = [];
  if (numbers.saturation) said.push(`saturated ${percent(numbers.saturation[unit])}`);
  said.push(`mean |Δ| ${numbers.update[unit]}`, `kept ${percent(numbers.kept_rate[unit])}`);
  if (numbers.memory_scale) said.push(`memory ${numbers.memory_scale[unit]} steps`);
  return said.join(" · ");
}

function clusterCard(at) {
  const one = site(), found = clustering();
  const units = [], poles = [[], []];
  found.units.forEach((cluster, unit) => { if (cluster === at) units.push(unit); });
  found.words.forEach((cluster, word) => { if (cluster === at) poles[found.score[word] >= 0 ? 0 : 1].push(word); });
  const list = (words, mark, kind) => words.length ? el("p", { class: "wordlist" }, el("b", { class: kind }, `${mark} `),
    words.sort((a, b) => Math.abs(found.score[b]) - Math.abs(found.score[a]))
      .map((word) => el("span", { onclick: () => pickWord(word) }, one.words[word]))) : null;
  const proof = one.key === data.main && found.count === one.chosen
    ? data.ablation.find((each) => each.name === `cluster ${at + 1}`) : null;
  return el("div", { class: "card", "data-card": "cluster" },
    el("header", {}, el("b", {}, `cluster ${at + 1}`), el("button", { "aria-label": "remove", onclick: () => pickCluster(at) }, "×")),
    el("p", { class: "facts" }, `${counted(units.length, "unit")}, ${counted(poles[0].length + poles[1].length, "word")}`),
    list(poles[0], "+", "plus"), list(poles[1], "−", "minus"),
    units.length ? el("p", { class: "wordlist explain" }, "units ", units.map((unit) => el("span", { onclick: () => pickUnit(unit) }, String(unit)))) : null,
    proof ? el("p", { class: "explain" }, `Silenced: ${proof.metric_name} ${signed(proof.metric[1] - proof.metric[0], 4)}, ` +
      `loss ${signed(proof.loss[1] - proof.loss[0], 4)} (random sets of as many units: p ${dash(proof.loss_worse)})`) : null);
}
