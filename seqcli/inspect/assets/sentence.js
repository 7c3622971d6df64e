"use strict";
// A text step by step: glyphs of each unit cluster, probabilities, and what each token adds.
const STEP = 58, GLYPH = 58, LEFT = 96;

function buildSentence() {
  const root = section("sentence", "Sentence: what each step does to the memory",
    "One row a cluster of units. Bars: sum of positive (blue, up) and negative (orange, down) states, per unit. " +
    "Thin bars: how much rose and fell since the last step. The grey band between steps is the overlap of a state with the one before, unit by unit (kept).");
  root.append(el("div", { class: "controls" },
    el("label", {}, "text ", el("select", { id: "which", style: "max-width:60ch", onchange: (event) =>
      set({ sentence: Number(event.target.value), label: 0, target: null }) },
      data.sentences.map((one, at) => el("option", { value: at }, one.text.length > 90 ? `${one.text.slice(0, 88)}…` : one.text)))),
    el("span", { id: "reading" })),
    el("div", { class: "scroll", id: "steps" }), el("div", { id: "translation" }));
  watch(["sentence", "site", "count", "label", "target"], drawSentence);
  drawSentence();
}

// Sums over the units of each cluster, step by step; the same as draw_glyphs in sentence.py.
function glyphs(states, one, found) {
  const steps = states.length / one.units, reverse = one.direction === "reverse";
  const empty = () => Array.from({ length: steps }, () => new Float64Array(found.count));
  const sums = { positive: empty(), negative: empty(), rise: empty(), fall: empty(), kept: empty(), old: empty() };
  const size = new Float64Array(found.count);
  found.units.forEach((at) => { if (at >= 0) size[at] += 1; });
  for (let t = 0; t < steps; t++) {
    const before = reverse ? t + 1 : t - 1;
    for (let unit = 0; unit < one.units; unit++) {
      const at = found.units[unit];
      if (at < 0) continue;
      const now = states[t * one.units + unit];
      const old = before >= 0 && before < steps ? states[before * one.units + unit] : 0;
      sums[now > 0 ? "positive" : "negative"][t][at] += now;
      sums[now > old ? "rise" : "fall"][t][at] += now - old;
      if (now * old > 0) sums.kept[t][at] += Math.min(Math.abs(now), Math.abs(old));
      sums.old[t][at] += Math.abs(old);
    }
  }
  return { ...sums, size, steps };
}

function drawSentence() {
  const text = data.sentences[state.sentence], one = site(), found = clustering();
  if (!text) return;
  const tokens = text.tokens[one.part], states = unpack(text.states[one.key]), sums = glyphs(states, one, found);
  $("#reading").textContent = [text.prediction ? `predicted ${text.prediction}` : "", text.note || ""].join(" ");
  const rows = [...Array(found.count).keys()].filter((at) => sums.size[at]);
  const parts = [tokenRow(tokens, one, text)];
  let y = 34;
  const top = Math.max(1e-6, ...rows.map((at) => Math.max(...sums.positive.map((row) => row[at] / sums.size[at]),
    ...sums.negative.map((row) => -row[at] / sums.size[at]))));
  for (const at of rows) {
    parts.push(glyphRow(at, y, sums, top, one, pickCluster));
    y += GLYPH + 8;
  }
  $("#steps").replaceChildren(el("div", { class: "strip" }, steps(tokens, y + 10, `States while reading: ${text.text}`, parts),
    [prefixRows, contributionRows, bestRows, pairRows].map((more) => more(text, tokens))));
  rove($("#steps svg"), ".token");
  if (window.drawTranslation) drawTranslation(text);
}

// A drawing with a column for each token. Words about it stand above it as text that wraps, because a
// short text leaves no room for them.
function steps(tokens, height, said, ...parts) {
  const width = LEFT + tokens.length * STEP + 20;
  return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": said }, parts);
}
const stepX = (t) => LEFT + t * STEP + STEP / 2;
function short(token, length = 8) { return token.length > length ? `${token.slice(0, length - 1)}…` : token; }

function tokenRow(tokens, one, text) {
  const group = svg("g", {});
  tokens.forEach((token, t) => {
    const word = one.words.indexOf(token);
    group.append(svg("text", { class: `token${word >= 0 ? "" : " soft"}`, x: stepX(t), y: 20, "text-anchor": "middle", "font-size": 12.5,
      "font-weight": state.target === t ? 700 : 400, tabindex: -1, role: "button", "data-step": t,
      onmouseenter: (event) => showTip(event, word >= 0 ? token : `${token}\nnot among the words of the overview`), onmouseleave: hideTip,
      onclick: () => { if (text.pairs) set({ target: t }); if (word >= 0) pickWord(word); } }, short(token, 8)));
  });
  return group;
}

// pick: what a click on the cluster's name does, null for nothing.
function glyphRow(at, y, sums, top, one, pick) {
  const group = svg("g", { "data-glyphs": at }), middle = y + GLYPH / 2, size = sums.size[at];
  const high = (value) => (value / size / top) * (GLYPH / 2);
  group.append(svg("text", { class: pick ? "head" : "", x: 0, y: middle - 1, "font-size": 12, onclick: pick ? () => pick(at) : null }, `cluster ${at + 1}`),
    label(0, middle + 13, counted(size, "unit")), svg("line", { class: "grid", x1: LEFT, x2: LEFT + sums.steps * STEP, y1: middle, y2: middle }));
  const reverse = one.direction === "reverse";
  for (let t = 0; t < sums.steps; t++) {
    const x = stepX(t), values = ["positive", "negative", "rise", "fall", "kept", "old"].map((name) => sums[name][t][at]);
    const [positive, negative, rise, fall, kept, old] = values;
    if (reverse ? t < sums.steps - 1 : t > 0) {
      const from = reverse ? x + 9 : x - STEP + 13, thick = Math.max(0.6, high(kept));
      group.append(svg("rect", { x: from, y: middle - thick / 2, width: STEP - 22, height: thick, fill: "var(--kept)", opacity: 0.38 }));
    }
    const said = `cluster ${at + 1}, step ${t + 1}\n+ ${positive.toFixed(2)}  − ${Math.abs(negative).toFixed(2)}  (of ${counted(size, "unit")})\n` +
      `rise ${rise.toFixed(2)}, fall ${Math.abs(fall).toFixed(2)}\nkept ${old ? percent(kept / old) : "–"}`;
    group.append(svg("g", { "data-kept": old ? (kept / old).toFixed(4) : "0", "data-positive": positive.toFixed(4),
      onmouseenter: (event) => showTip(event, said), onmouseleave: hideTip },
      svg("rect", { x: x - 9, y: middle - GLYPH / 2, width: 26, height: GLYPH, fill: "transparent" }),
      svg("rect", { class: "pos", x: x - 9, y: middle - high(positive), width: 12, height: high(positive), opacity: 0.85 }),
      svg("rect", { class: "neg", x: x - 9, y: middle, width: 12, height: -high(negative), opacity: 0.85 }),
      svg("rect", { class: "pos", x: x + 5, y: middle - high(rise), width: 4, height: high(rise), opacity: 0.5 }),
      svg("rect", { class: "neg", x: x + 5, y: middle, width: 4, height: -high(fall), opacity: 0.5 })));
  }
  return group;
}

const LINES = ["var(--accent)", "var(--good)", "var(--bad)", "var(--pos)", "var(--neg)", "var(--soft)"];
function prefixRows(text, tokens) {
  if (!text.prefixes) return null;
  const high = 74, at = (value) => 8 + high - value * high, root = steps(tokens, high + 16, "probability of each label after each prefix");
  for (const value of [0, 0.5, 1]) {
    root.append(svg("line", { class: "grid", x1: LEFT, x2: LEFT + tokens.length * STEP, y1: at(value), y2: at(value) }),
      label(LEFT - 8, at(value) + 4, percent(value), "end"));
  }
  text.labels.forEach((name, number) => {
    root.append(svg("path", { d: path(text.prefixes.map((row, t) => [stepX(t), at(row[number])])), fill: "none",
      stroke: LINES[number], "stroke-width": number === 0 ? 2.2 : 1.4 }));
    text.prefixes.forEach((row, t) => root.append(svg("circle", { cx: stepX(t), cy: at(row[number]), r: 3.2, fill: LINES[number],
      onmouseenter: (event) => showTip(event, `after “${tokens[t]}”\n${name}: ${percent(row[number], 1)}`), onmouseleave: hideTip })));
  });
  const names = text.labels.map((name, number) => el("span", {}, el("i", { style: `background:${LINES[number]}` }), `${name} ${percent(text.prefixes.at(-1)[number])}`));
  return [el("p", { class: "explain" }, "Probability of each label after each prefix"), el("div", { class: "legend" }, names), root];
}

function bars(group, values, tokens, y, high) {
  const largest = Math.max(1e-6, ...values.map(Math.abs)), middle = y + high / 2;
  group.append(svg("line", { class: "axis", x1: LEFT, x2: LEFT + values.length * STEP, y1: middle, y2: middle }));
  values.forEach((value, t) => {
    const tall = (Math.abs(value) / largest) * (high / 2 - 2);
    group.append(svg("rect", { class: value < 0 ? "neg" : "pos", x: stepX(t) - 12, width: 24, y: value < 0 ? middle : middle - tall,
      height: tall, "data-value": value, onmouseenter: (event) => showTip(event, `${tokens[t]}: ${signed(value)}`), onmouseleave: hideTip }),
      label(stepX(t), value < 0 ? middle - 4 : middle + 12, signed(value, 2), "middle", "soft", 10));
  });
}

function contributionRows(text, tokens) {
  const found = text.contributions;
  if (!found) return null;
  const root = steps(tokens, 70, "what each token adds to the score"), group = svg("g", { id: "contributions" });
  bars(group, found.values.map((row) => row[state.label]), tokens, 0, 70);
  root.append(group);
  return [el("p", { class: "explain" }, `What each token adds to the score of ${text.labels[state.label]} (${found.method})` +
    (found.exact ? `: ${signed(found.bias[state.label], 2)} bias + Σ = ${signed(text.scores[state.label], 2)}` : "")),
  el("div", { class: "controls" }, "score of ", text.labels.map((name, at) =>
    el("button", { "data-score": at, "aria-pressed": String(at === state.label), onclick: () => set({ label: at }) }, name))), root];
}

function bestRows(text, tokens) {
  if (!text.best) return null;
  const root = steps(tokens, 54, "what is predicted at each step");
  text.best.forEach((ranked, t) => {
    root.append(label(stepX(t), 16, short(ranked[0][0], 9), "middle", "", 12), label(stepX(t), 30, percent(ranked[0][1]), "middle"));
    root.lastChild.addEventListener("mouseenter", (event) => showTip(event, ranked.map(([name, value]) => `${name}  ${percent(value, 1)}`).join("\n")));
    root.lastChild.addEventListener("mouseleave", hideTip);
    if (text.following && t < text.following.length) root.append(label(stepX(t), 44, `(${percent(text.following[t])})`, "middle", "soft", 10));
  });
  return [el("p", { class: "explain" }, text.following ? "Likeliest next token, and how likely the true one was" : "Predicted tag"), root];
}

function pairRows(text, tokens) {
  if (!text.pairs) return null;
  const target = state.target === null ? tokens.length - 1 : Math.min(state.target, tokens.length - 1);
  const root = steps(tokens, 70, "what each token adds to a score"), group = svg("g", { id: "contributions" });
  bars(group, text.pairs[target], tokens, 0, 70);
  root.append(group);
  return [el("p", { class: "explain" }, `What each token adds to the score of ${text.best[target][0][0]} at token ${target + 1}, ${tokens[target]} (exact; click another token)`), root];
}
