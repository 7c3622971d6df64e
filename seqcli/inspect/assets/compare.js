"use strict";
// Two networks side by side: A on the left, B on the right, what they share in the middle.
const M = { width: 1240, chip: 230, gap: 110, top: 44 };
const pick = { words: [0], cluster: null, sentence: 0 };
const sides = data.sides.map((side) => ({ ...side, values: unpack(side.mean) }));
const most = Math.max(...sides.flatMap((side) => side.values.reduce((top, value) => Math.max(top, Math.abs(value)), 0)));
const ownTexts = sides.some((side) => side.part === "decoder");
const valueOf = (side, word, unit) => side.values[word * side.units + unit];

function buildCompareHead() {
  document.title = `${data.sides.map((side) => side.name).join(" · ")} · seqcli compare`;
  $("#head").append(el("h1", {}, sides.map((side, at) => [at ? " and " : "", side.name]), el("small", {}, "seqcli compare")),
    ...sides.map((side, at) => el("p", { class: "facts" }, el("b", {}, `${"AB"[at]}  `), `${side.name}: ${side.network}; ${side.title}; ${side.metric.name} ${side.metric.value.toFixed(4)}; weights ${side.model.checkpoint_sha256.slice(0, 12)}`)),
    el("p", { class: "facts" }, `${describeRows(data.data)}; ${data.words.length} shared words, ${percent(data.data.coverage, 1)} of the tokens.`),
    ...data.notes.map((note) => el("p", { class: "note" }, note)));
  $("#toolbar").append(el("div", {}, el("label", {}, "word ", el("input", { type: "search", id: "find", list: "names", placeholder: "find a shared word", onchange: findWord })),
    el("datalist", { id: "names" }, data.words.map((word) => el("option", { value: word }))), el("span", { id: "missed", class: "note", role: "status" }),
    el("button", { id: "theme", onclick: turn, "aria-label": "light or dark" }, "◐"),
    el("span", { class: "push" }, $$("main section").map((one) => el("a", { href: `#${one.id}` }, $("h2", one).textContent.split(":")[0])))));
}

function findWord() {
  const text = $("#find").value.trim(), at = [text, text.toLowerCase(), `␣${text}`].map((form) => data.words.indexOf(form)).find((one) => one >= 0);
  $("#missed").textContent = at === undefined && text ? `no shared word “${text}”` : "";
  if (at !== undefined) choose(at);
}
function choose(word) { pick.words = toggle(pick.words, word, 3); drawMirror(); drawOverlay(); }

function buildMirror() {
  const root = section("overview", "Overview: two networks on the words they share",
    "Squares are units, of A on the left and of B on the right, in their clusters; one colour scale for both. Words stand in groups: together where both networks put them together. " +
    "Links: mean positive (blue) and negative (orange) response of a group in a cluster. Click words (up to three).");
  root.append(el("div", { class: "scroll", id: "map" }), el("h3", {}, "Responses of the chosen words, units sorted, on one scale"), el("div", { class: "charts", id: "overlay" }));
  drawMirror();
  drawOverlay();
}

const ruler = document.createElement("canvas").getContext("2d");
function widthOf(text) {
  ruler.font = `12.5px ${getComputedStyle(document.body).fontFamily}`;
  return ruler.measureText(text).width;
}

function groups() {
  const found = new Map();
  data.words.forEach((_, word) => {
    const [a, b] = sides.map((side) => side.clusters.words[word]);
    if (a < 0 || b < 0) return;
    const key = `${a} ${b}`;
    if (!found.has(key)) found.set(key, { a, b, words: [] });
    found.get(key).words.push(word);
  });
  return [...found.values()].sort((one, other) => one.a - other.a || one.b - other.b);
}

function drawMirror() {
  const middle = M.width - 2 * (M.chip + M.gap), left = M.chip + M.gap, all = groups(), marks = svg("g", {}), lines = svg("g", {});
  let y = M.top;
  for (const group of all) {
    group.top = y;
    marks.append(svg("text", { x: left, y: y + 9, "font-size": 10.5, class: "soft" }, `A ${group.a + 1} · B ${group.b + 1} · ${counted(group.words.length, "word")}`));
    let x = left, line = y + 26;
    const sorted = group.words.slice().sort((one, other) => strength(other) - strength(one));
    sorted.forEach((word) => {
      const wide = 9 + widthOf(data.words[word]);
      if (x + wide > left + middle) { x = left; line += 17; }
      marks.append(svg("text", { class: `word${pick.words.includes(word) ? " on" : ""}`, "data-word": word, x, y: line, "font-size": 12.5, tabindex: -1, role: "button",
        onclick: () => choose(word), onmouseenter: (event) => showTip(event, `${data.words[word]}\n${data.counts[word].toLocaleString("en")} times`), onmouseleave: hideTip }, data.words[word]));
      x += wide;
    });
    group.middle = (y + line) / 2;
    y = line + 20;
  }
  const chips = sides.map((side, at) => drawChips(marks, side, at, y));
  drawMirrorLinks(lines, all, chips, left, middle);
  const high = Math.max(y, ...chips.flat().map((chip) => chip.bottom)) + 12;
  const root = svg("svg", { viewBox: `0 0 ${M.width} ${high}`, width: "100%", style: "min-width:1000px", role: "group", "aria-label": "both networks" }, lines, marks);
  root.append(label(M.chip / 2, 16, `A · ${sides[0].name}`, "middle", "", 13), label(M.width / 2, 16, `${data.words.length} shared words`, "middle", "", 13), label(M.width - M.chip / 2, 16, `B · ${sides[1].name}`, "middle", "", 13));
  $("#map").replaceChildren(root);
  rove(root, ".word");
}

const strength = (word) => sides.reduce((sum, side) => { for (let unit = 0; unit < side.units; unit++) sum += Math.abs(valueOf(side, word, unit)); return sum; }, 0);

function drawChips(layer, side, at, tall) {
  const cell = side.units <= 80 ? 18 : side.units <= 160 ? 14 : 11, columns = Math.floor((M.chip - 10) / cell), word = pick.words.at(-1);
  const rows = Array.from({ length: side.clusters.count }, () => []);
  side.clusters.units.forEach((cluster, unit) => { if (cluster >= 0) rows[cluster].push(unit); });
  const heights = rows.map((units) => Math.max(1, Math.ceil(units.length / columns)) * cell + 10);
  const gap = Math.max(28, (tall - M.top - heights.reduce((a, b) => a + b, 0)) / rows.length);
  let y = M.top + Math.min(gap / 2, 60);
  return rows.map((units, cluster) => {
    const wide = Math.min(columns, Math.max(1, units.length)) * cell + 10, x = at ? M.width - wide - 2 : 2;
    layer.append(label(at ? M.width - 2 : 2, y - 5, `cluster ${cluster + 1} · ${counted(units.length, "unit")}`, at ? "end" : "start", "", 12), svg("rect", { class: "chip", x, y, width: wide, height: heights[cluster], rx: 5 }));
    units.forEach((unit, number) => layer.append(svg("rect", { class: "unit", "data-side": at, "data-unit": unit, x: x + 5 + (number % columns) * cell, y: y + 5 + Math.floor(number / columns) * cell, width: cell - 1, height: cell - 1, rx: 2,
      style: `fill:${word === undefined ? "var(--cell)" : tint(valueOf(side, word, unit), most * 0.7)}`,
      onmouseenter: (event) => showTip(event, `${"AB"[at]} unit ${unit}${partner(at, unit)}${word === undefined ? "" : `\n${data.words[word]} ${signed(valueOf(side, word, unit))}`}`), onmouseleave: hideTip })));
    const chip = { units, x: at ? x : x + wide, y: y + heights[cluster] / 2, bottom: y + heights[cluster] };
    y += heights[cluster] + gap;
    return chip;
  });
}

function partner(at, unit) {
  if (!data.matching) return "";
  const other = at ? data.matching.partner.indexOf(unit) : data.matching.partner[unit], r = data.matching.correlation[at ? other : unit];
  return `\nmatched with ${"BA"[at]} unit ${other}, r ${signed(r, 2)}`;
}

function drawMirrorLinks(layer, all, chips, left, middle) {
  const links = [];
  for (const group of all) sides.forEach((side, at) => chips[at].forEach((chip) => {
    let up = 0, down = 0;
    for (const word of group.words) for (const unit of chip.units) { const value = valueOf(side, word, unit); if (value > 0) up += value; else down -= value; }
    const size = Math.max(1, group.words.length * chip.units.length);
    links.push({ group, chip, at, sign: 1, value: up / size }, { group, chip, at, sign: -1, value: down / size });
  }));
  const largest = Math.max(...links.map((one) => one.value), 1e-9);
  links.sort((a, b) => b.value - a.value);
  const shown = [0, 1].flatMap((at) => links.filter((one) => one.at === at).slice(0, all.length + 4));
  for (const one of shown) {
    const wide = 1 + 8 * (one.value / largest), x0 = one.at ? left + middle + 6 : left - 8, x1 = one.at ? one.chip.x - 4 : one.chip.x + 4, bend = (x0 + x1) / 2, shift = one.sign * wide * 0.52;
    layer.append(svg("path", { class: `link ${one.sign > 0 ? "positive" : "negative"}`, "stroke-width": wide.toFixed(1), d: `M${x0} ${one.group.middle + shift}C${bend} ${one.group.middle + shift} ${bend} ${one.chip.y + shift} ${x1} ${one.chip.y + shift}` }));
  }
}

function drawOverlay() {
  $("#overlay").replaceChildren(...pick.words.map((word) => {
    const { root, x0, x1, y0, y1 } = frame(360, 170, [10, 8, 30, 40], `Responses to ${data.words[word]} in both networks`), y = (value) => y0 + ((value + most) / (2 * most)) * (y1 - y0);
    for (const value of [-most, 0, most]) root.append(svg("line", { class: value ? "grid" : "axis", x1: x0, x2: x1, y1: y(value), y2: y(value) }), label(x0 - 5, y(value) + 4, value.toFixed(1), "end"));
    sides.forEach((side, at) => {
      const sorted = Array.from({ length: side.units }, (_, unit) => valueOf(side, word, unit)).sort((a, b) => a - b);
      root.append(svg("path", { "data-curve": at, d: path(sorted.map((value, n) => [x0 + (n / Math.max(1, sorted.length - 1)) * (x1 - x0), y(value)])), fill: "none", stroke: LINES[at], "stroke-width": 1.8, "stroke-dasharray": at ? "5 3" : "" }));
    });
    root.append(label((x0 + x1) / 2, 164, "units, sorted", "middle"));
    return el("div", {}, el("p", {}, el("b", {}, data.words[word]), " ", sides.map((side, at) => el("span", { style: `color:${LINES[at]}` }, at ? ` ┅ B cluster ${side.clusters.words[word] + 1}` : `━ A cluster ${side.clusters.words[word] + 1} `))), root);
  }));
}

function buildTable() {
  const root = section("numbers", "Numbers: both, the difference, and how sure it is", "Intervals: 95 % bootstrap over examples, the same draws for both. A difference is bold if its interval excludes zero. Gates of different cells are only shown side by side: they do not mean the same.");
  const cell = (value, range) => el("td", {}, value === null || value === undefined ? "–" : value.toFixed(4), range ? el("small", {}, `${range[0].toFixed(3)} … ${range[1].toFixed(3)}`) : null);
  const change = (value, range, p) => el("td", { style: range && range[0] * range[1] > 0 && Number(value.toFixed(4)) ? "font-weight:700" : null }, value === undefined ? "–" : signed(value, 4), range ? el("small", {}, `${signed(range[0])} … ${signed(range[1])}${p === undefined ? "" : `, p ${p.toFixed(4)}`}`) : null);
  // A letter may name gates that do the opposite in two cells: then each side says its own.
  const sense = (name) => {
    const letter = /^gate_([a-z]+)$/.exec(name), said = letter ? sides.map((side) => side.gates[letter[1]]) : [];
    const known = said.map((one, at) => one && (said[0] === said[1] ? one : `${"AB"[at]}: ${one}`)).filter(Boolean);
    return known.length ? el("small", {}, [...new Set(known)].join("; ")) : null;
  };
  const rows = Object.entries(data.numbers).map(([name, row]) => el("tr", {}, el("th", { scope: "row", title: data.explain[name] || "" }, NAMES[name] || name.replaceAll("_", " "), sense(name)), cell(row.values[0], row.intervals[0]), cell(row.values[1], row.intervals[1]), change(row.difference, row.interval)));
  if (data.metric) rows.unshift(el("tr", {}, el("th", { scope: "row" }, data.metric.name), cell(data.metric.first), cell(data.metric.second), change(data.metric.difference, data.metric.interval, data.metric.p)));
  root.append(el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ["", "A", "B", "B − A"].map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, rows))),
    el("p", { class: "explain" }, `Agreement of the word clusterings (adjusted Rand index): ${data.agreement.toFixed(3)}.` + (data.matching ? ` Units matched one to one: mean |r| ${data.matching.mean.toFixed(3)}, shuffled partners ${data.matching.chance.toFixed(3)}.` : "")));
  const flows = el("div", { class: "charts" }, sides.map((side, at) => el("div", {}, el("p", {}, el("b", {}, `${"AB"[at]} gradient flow `), el("span", { class: `verdict ${side.flow.verdict}` }, side.flow.verdict)),
    lagChart(Object.entries(side.flow.norms).map(([letter, values]) => ({ name: `∂L/∂${letter}`, values })), side.name), el("p", { class: "explain" }, describeFlow(side.flow)))));
  if (data.cka) flows.append(el("div", {}, el("p", {}, el("b", {}, "linear CKA"), ` of the two: ${data.cka.chosen.toFixed(3)}`), el("div", { class: "scroll" }, ckaMap())));
  root.append(flows);
}

function ckaMap() {
  const size = 46, { rows, columns, values } = data.cka;
  const names = [rows, columns].map((keys, at) => keys.map((key) => `${"AB"[at]} ${key.replace(/\.h$/, "").replaceAll(".", " ")}`));
  // Names of columns lean, as tall and as wide as the longest of them.
  const [left, lean] = names.map((some) => 16 + Math.max(...some.map(widthOf))), top = 0.8 * lean;
  const root = svg("svg", { width: left + columns.length * size + 0.7 * lean, height: top + rows.length * size, role: "img", "aria-label": "CKA between layers" });
  rows.forEach((_, r) => { root.append(label(left - 6, top + r * size + 26, names[0][r], "end"));
    columns.forEach((_, c) => root.append(svg("rect", { x: left + c * size, y: top + r * size, width: size - 2, height: size - 2, rx: 3, style: `fill:color-mix(in srgb, var(--accent) ${Math.round(100 * values[r][c])}%, var(--cell))` }), label(left + c * size + size / 2, top + r * size + 27, values[r][c].toFixed(2), "middle", "", 11))); });
  columns.forEach((_, c) => {
    const x = left + c * size + size / 2;
    root.append(svg("text", { x, y: top - 6, class: "soft", "font-size": 11, transform: `rotate(-50 ${x} ${top - 6})` }, names[1][c]));
  });
  return root;
}

function buildClaims() {
  if (!data.claims.length) return;
  const root = section("claims", "Claims: what the field says, tested on these two", "Supported or refuted if the 95 % interval excludes zero.");
  root.append(el("table", {}, el("tbody", {}, data.claims.map((one) => el("tr", {}, el("td", {}, el("b", {}, one.claim), el("small", {}, one.measure)), el("td", {}, one.difference === null ? "" : `${signed(one.difference, 4)} [${signed(one.interval[0], 4)}, ${signed(one.interval[1], 4)}]`),
    el("td", {}, el("span", { class: `verdict ${{ supported: "healthy", refuted: "exploding", undecided: "unknown", untested: "unknown" }[one.verdict]}` }, one.verdict)))))));
}

function buildPairs() {
  const root = section("sentence", ownTexts ? "Sentence: each reads what it wrote itself" : "Sentence: the same text through both",
    (ownTexts ? "A decoder reads its own translation, so the columns of the two are not the same tokens. " : "") + "Bars: positive (up) and negative (down) states of a unit cluster, per unit; thin bars: rise and fall; grey: overlap with the state before (kept). Both networks on one scale.");
  root.append(el("label", { class: "controls" }, "text ", el("select", { style: "max-width:70ch", onchange: (event) => { pick.sentence = Number(event.target.value); drawPairs(); } }, data.sentences.map((one, at) => el("option", { value: at }, one.text.slice(0, 110))))), el("div", { class: "scroll", id: "steps" }));
  drawPairs();
}

function drawPairs() {
  const text = data.sentences[pick.sentence], sums = sides.map((side, at) => glyphs(unpack(text.states[at]), side, { units: side.clusters.units, count: side.clusters.count }));
  let top = 1e-6;
  sums.forEach((one) => one.size.forEach((size, at) => { if (size) for (let t = 0; t < one.steps; t++) top = Math.max(top, one.positive[t][at] / size, -one.negative[t][at] / size); }));
  const drawn = sides.map((side, which) => {
    const tokens = text.tokens[which], parts = tokens.map((token, t) => label(stepX(t), 20, short(token, 8), "middle", "", 12));
    let y = 32;
    sums[which].size.forEach((size, at) => { if (!size) return; parts.push(glyphRow(at, y, sums[which], top, side, null)); y += GLYPH + 8; });
    return [el("p", {}, el("b", {}, `${"AB"[which]} · ${side.name}`), ownTexts ? ` → ${text.translations[which]}` : ""), steps(tokens, y + 6, `${side.name}: ${text.text}`, parts)];
  });
  // Where the columns are the same tokens, the two stand above each other and move together.
  $("#steps").replaceChildren(...(ownTexts ? [el("div", { class: "charts" }, drawn.map((one) => el("div", { class: "scroll" }, one)))] : [el("div", { class: "strip" }, drawn)]));
}

buildMirror();
buildTable();
buildClaims();
buildPairs();
buildCompareHead();
document.documentElement.dataset.ready = "yes";
