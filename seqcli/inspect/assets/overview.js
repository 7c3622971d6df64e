"use strict";
// Memory chips in the middle, word clouds at both sides, links between: − on the left, + on the right.
const WIDE = { cloud: 380, gap: 104, chip: 250, top: 26, row: 14, head: 16 };
const overviewWidth = 2 * WIDE.cloud + 2 * WIDE.gap + WIDE.chip;

function buildOverview() {
  const root = section("overview", "Overview: which words move which units",
    "Each row is a co-cluster of words and hidden units. A word's size is the strength of its expected response; " +
    "squares are units. Links join clouds and chips: their width is the mean positive (blue) or negative (orange) response. " +
    "Click a word, a unit or a cluster's number; arrow keys move between marks and Enter picks.");
  const split = el("div", { class: "split" });
  const left = el("div", {}), holder = el("div", { class: "scroll", id: "map" });
  left.append(el("div", { class: "legend" },
    el("span", {}, el("i", { style: "background:var(--pos)" }), "raises the unit"),
    el("span", {}, el("i", { style: "background:var(--neg)" }), "lowers the unit"),
    el("span", { id: "quality" })), holder);
  split.append(left, el("aside", { class: "details", id: "details", "aria-live": "polite" }));
  root.append(split);
  watch(["site", "count", "links"], drawOverview);
  watch(["words", "units", "cluster", "hover"], paintOverview);
  drawOverview();
}

function drawOverview() {
  const one = site(), found = clustering();
  const stable = found.stability === null ? "" : `, stability ${found.stability.toFixed(2)} (adjusted Rand index between seeds)`;
  $("#quality").textContent =
    `${found.count} clusters${found.count === one.chosen ? " (chosen)" : ""}${stable}, silhouette ${found.silhouette.toFixed(2)}, ` +
    `mean |response| inside / outside the blocks ${found.contrast.toFixed(1)}` + (one.mode === "raw" ? "; signed matrix (raw)" : "");
  const members = Array.from({ length: found.count }, () => ({ units: [], words: [[], []] }));
  found.units.forEach((at, unit) => { if (at >= 0) members[at].units.push(unit); });
  found.words.forEach((at, word) => { if (at >= 0) members[at].words[found.score[word] >= 0 ? 0 : 1].push(word); });
  // Squares are as large as the number of units allows.
  const cell = one.units <= 80 ? 20 : one.units <= 160 ? 15 : 12, most = Math.floor((WIDE.chip - 10) / cell);
  const rows = members.map((member, at) => {
    const columns = clamp(Math.ceil(Math.sqrt(member.units.length * 1.8)), 1, most);
    const lines = Math.ceil(member.units.length / columns);
    const chip = Math.max(lines * cell + 10, 22);
    return { ...member, at, columns, chip, cell, width: columns * cell + 10, heights: found.heights[at], out: found.left_out[at] };
  });
  // A cluster's clouds and its chip stand side by side, each in the middle of a row as tall as the tallest.
  let y = WIDE.top;
  for (const row of rows) {
    const cloud = [0, 1].map((pole) => row.words[pole].length ? WIDE.head + row.heights[pole] + (row.out[pole] ? 14 : 0) : 0);
    const tall = Math.max(...cloud, row.chip + 14);
    [row.plus, row.minus] = cloud.map((high) => y + (tall - high) / 2 + WIDE.head);
    row.chipTop = y + (tall - row.chip - 14) / 2 + 14;
    y += tall + WIDE.row;
  }
  const root = svg("svg", { viewBox: `0 0 ${overviewWidth} ${y}`, width: "100%", style: "min-width:900px",
    role: "group", "aria-label": `Clusters of ${one.title}` });
  root.append(label(WIDE.cloud / 2, 14, "words of the − pole", "middle"),
    label(overviewWidth / 2, 14, `units of ${one.title}`, "middle"),
    label(overviewWidth - WIDE.cloud / 2, 14, "words of the + pole", "middle"));
  const linkLayer = svg("g", {}), marks = svg("g", {}), words = svg("g", {});
  root.append(linkLayer, marks, words);
  drawLinks(linkLayer, rows, found);
  for (const row of rows) {
    drawChip(marks, row, one);
    drawCloud(words, row, one, found, 1, 0);
    drawCloud(words, row, one, found, 0, overviewWidth - WIDE.cloud);
  }
  $("#map").replaceChildren(root);
  for (const selector of [".head", ".word", ".unit"]) rove(root, selector);
  root.addEventListener("mouseleave", () => { hideTip(); set({ hover: null }); });
  paintOverview();
}

function drawChip(layer, row, one) {
  const x = (overviewWidth - row.width) / 2, top = row.chipTop;
  const group = svg("g", { "data-cluster": row.at });
  group.append(svg("text", { class: "head", "data-head": row.at, x: overviewWidth / 2, y: top - 5, "text-anchor": "middle",
    "font-size": 12, tabindex: -1, role: "button", "aria-label": `cluster ${row.at + 1}, ${counted(row.units.length, "unit")}`,
    onclick: () => pickCluster(row.at) }, `cluster ${row.at + 1} · ${counted(row.units.length, "unit")}`));
  if (row.units.length) group.append(svg("rect", { class: "chip", x, y: top, width: row.width, height: row.chip, rx: 5 }));
  else group.append(label(overviewWidth / 2, top + 14, "words only, no unit", "middle"));
  row.units.forEach((unit, at) => {
    const point = (event) => { showTip(event, `unit ${unit}`); set({ hover: { unit } }); };
    group.append(svg("rect", { class: "unit", "data-unit": unit, tabindex: -1, role: "button", "aria-label": `unit ${unit}`,
      x: x + 5 + (at % row.columns) * row.cell, y: top + 5 + Math.floor(at / row.columns) * row.cell,
      width: row.cell - 1, height: row.cell - 1, rx: 2, onclick: () => pickUnit(unit),
      onmouseenter: point, onfocus: point, onmouseleave: hideTip, onblur: hideTip }));
  });
  layer.append(group);
}

function drawCloud(layer, row, one, found, pole, left) {
  const listed = row.words[pole];
  if (!listed.length) return;
  const height = row.heights[pole], top = pole ? row.minus : row.plus;
  const group = svg("g", { "data-cluster": row.at, "data-pole": pole ? "-" : "+" });
  group.append(svg("text", { class: `head ${pole ? "minus" : "plus"}`, x: left, y: top - 3, "font-size": 10.5, onclick: () => pickCluster(row.at) },
    `cluster ${row.at + 1} ${pole ? "−" : "+"}`));
  for (const word of listed) {
    const [x, baseline, width, size] = found.places.subarray(4 * word, 4 * word + 4);
    if (!size) continue;
    const point = (event) => {
      showTip(event, `${one.words[word]}\n${one.counts[word].toLocaleString("en")} times, pole score ${signed(found.score[word])}`);
      set({ hover: { word } });
    };
    group.append(svg("text", { class: "word", "data-word": word, tabindex: -1, role: "button",
      x: left + x / 10, y: top + baseline / 10, "font-size": size / 10, textLength: (width / 10).toFixed(1),
      lengthAdjust: "spacingAndGlyphs", onclick: () => pickWord(word), onmouseenter: point, onfocus: point,
      onmouseleave: hideTip, onblur: hideTip }, one.words[word]));
  }
  const out = found.left_out[row.at][pole];
  if (out) {
    group.append(svg("text", { class: "soft head", x: left, y: top + height + 13, "font-size": 11,
      onclick: () => set({ cluster: row.at }) }, `and ${out} more without room`));
  }
  layer.append(group);
}

function drawLinks(layer, rows, found) {
  const all = [];
  for (let pole = 0; pole < 2; pole++) {
    for (const from of rows) {
      if (!from.words[pole].length) continue;
      for (const to of rows) {
        if (!to.units.length) continue;
        const at = (pole * found.count + from.at) * found.count + to.at;
        all.push({ pole, from, to, sign: 1, value: found.positive[at] });
        all.push({ pole, from, to, sign: -1, value: -found.negative[at] });
      }
    }
  }
  const largest = Math.max(...all.map((one) => one.value), 1e-9);
  // The slider gives a number of links, not a threshold, so that many clusters stay readable.
  const count = Math.ceil(1.5 * found.count * (state.links / 35) ** 2);
  const shown = all.filter((one) => one.value > 0.02 * largest).sort((a, b) => b.value - a.value).slice(0, count);
  for (const one of shown) {
    const left = one.pole === 1;
    const x0 = left ? WIDE.cloud + 6 : overviewWidth - WIDE.cloud - 6;
    const middle = overviewWidth / 2, x1 = left ? middle - one.to.width / 2 - 3 : middle + one.to.width / 2 + 3;
    const width = 1 + 9 * (one.value / largest);
    const shift = one.sign * width * 0.52;
    const y0 = (left ? one.from.minus : one.from.plus) + one.from.heights[one.pole] / 2 + shift, y1 = one.to.chipTop + one.to.chip / 2 + shift;
    const bend = (x0 + x1) / 2;
    layer.append(svg("path", { class: `link ${one.sign > 0 ? "positive" : "negative"}`, "data-from": one.from.at,
      "data-to": one.to.at, "data-pole": one.pole, "stroke-width": width.toFixed(1),
      d: `M${x0} ${y0}C${bend} ${y0} ${bend} ${y1} ${x1} ${y1}` }));
  }
}

// Colours only; nothing is built again.
function paintOverview() {
  const root = $("#map svg");
  if (!root) return;
  const one = site(), found = clustering();
  const word = state.hover && "word" in state.hover ? state.hover.word : state.words.at(-1);
  const unit = state.hover && "unit" in state.hover ? state.hover.unit : state.units.at(-1);
  const byUnit = state.hover ? "unit" in state.hover : unit !== undefined && word === undefined;
  for (const mark of $$(".unit", root)) {
    const at = Number(mark.dataset.unit);
    mark.classList.toggle("on", state.units.includes(at));
    const value = word === undefined || byUnit ? null : response(one, word, at);
    mark.style.fill = value === null ? "color-mix(in srgb, var(--ink) 30%, var(--cell))" : tint(value, one.largest * 0.7);
    mark.classList.toggle("dim", state.cluster !== null && found.units[at] !== state.cluster);
  }
  for (const mark of $$(".word", root)) {
    const at = Number(mark.dataset.word);
    mark.classList.toggle("on", state.words.includes(at));
    const value = byUnit && unit !== undefined ? response(one, at, unit) : null;
    const share = value === null ? 1 : clamp(Math.abs(value) / (one.largest * 0.5), 0.12, 1);
    mark.style.fill = value === null ? "" : value < 0 ? "var(--neg)" : "var(--pos)";
    mark.style.opacity = share;
    mark.classList.toggle("dim", state.cluster !== null && found.words[at] !== state.cluster);
  }
  for (const mark of $$("[data-head]", root)) mark.classList.toggle("on", Number(mark.dataset.head) === state.cluster);
  for (const mark of $$(".link", root)) {
    const near = state.cluster === null || Number(mark.dataset.from) === state.cluster || Number(mark.dataset.to) === state.cluster;
    mark.classList.toggle("dim", !near);
  }
}
