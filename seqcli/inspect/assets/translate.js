"use strict";
// A translation: where the decoder looked, and what its beam weighed.
function drawTranslation(text) {
  const holder = $("#translation");
  if (!text.tree) { holder.replaceChildren(); return; }
  holder.replaceChildren(el("h3", {}, "Translation"), el("p", {}, text.translation,
    text.forced ? el("span", { class: "facts" }, `  (the first ${text.forced} tokens were forced)`) : null),
  el("div", { class: "charts" }, text.attention ? el("div", { class: "scroll" }, heatmap(text)) : el("p", { class: "explain" }, "This model has no attention: the source reaches the decoder as one vector."), gradientBars(text)),
  el("h3", {}, `Beam of ${text.beam}: which extensions went on`),
  el("p", { class: "explain" }, "Read from left to right; figures are the probability of the token. Bold: the chosen translation; plain: another that was finished; faint: went on but lost. " +
    `${counted(text.tree.filter((node) => node.at(-1) === "dropped").length, "extension")} of ${text.tree.length} were dropped at once and are not drawn; point at a token for the likeliest of its own.`),
  el("div", { class: "scroll" }, beamTree(text)));
}

function heatmap(text) {
  const source = text.tokens.encoder, target = text.written, cell = 24, left = 92, top = 84, lean = 60;
  const root = svg("svg", { width: left + source.length * cell + lean, height: top + target.length * cell + 6, role: "img", "aria-label": "attention of each target token over the source" });
  source.forEach((token, at) => root.append(svg("text", { x: left + at * cell + 15, y: top - 8, "font-size": 12, transform: `rotate(-50 ${left + at * cell + 15} ${top - 8})` }, short(token, 12))));
  target.forEach((token, t) => {
    root.append(label(left - 8, top + t * cell + 16, short(token, 12), "end", "", 12));
    source.forEach((word, at) => {
      const value = text.attention[t][at];
      root.append(svg("rect", { "data-weight": value, x: left + at * cell, y: top + t * cell, width: cell - 1, height: cell - 1, rx: 2,
        style: `fill:color-mix(in srgb, var(--accent) ${Math.round(100 * value ** 0.7)}%, var(--cell))`,
        onmouseenter: (event) => showTip(event, `${token} ← ${word}: ${percent(value, 1)}`), onmouseleave: hideTip }));
    });
  });
  return root;
}

function gradientBars(text) {
  const source = text.tokens.encoder, values = text.source_gradients, largest = Math.max(1e-9, ...values.map(Math.abs));
  const root = svg("svg", { width: 430, height: source.length * 20 + 30, role: "img", "aria-label": "integrated gradients of the translation over the source" });
  root.append(label(0, 12, "what each source token adds to log p (integrated gradients)", "start", "", 12));
  source.forEach((token, at) => {
    const y = 32 + at * 20, long = (Math.abs(values[at]) / largest) * 90;
    root.append(label(92, y + 4, short(token, 12), "end", "", 12), svg("rect", { class: values[at] < 0 ? "neg" : "pos", x: values[at] < 0 ? 200 - long : 200, y: y - 7, width: long, height: 13, rx: 2 }),
      label(values[at] < 0 ? 206 : 194, y + 4, signed(values[at], 2), values[at] < 0 ? "start" : "end"));
  });
  return root;
}

function beamTree(text) {
  const nodes = text.tree.map(([parent, step, token, log, total, fate], at) => ({ parent, step, token, log, total, fate, at, children: [] }));
  nodes.forEach((node) => { if (node.parent >= 0) nodes[node.parent].children.push(node); });
  const chosen = new Set();
  for (let at = text.chosen; at >= 0; at = nodes[at].parent) chosen.add(at);
  // Dropped extensions are not drawn: a node's tip names the next best of its own.
  const keep = (node) => node.fate !== "dropped";
  let line = 0;
  const place = (node) => {
    const kept = node.children.filter(keep);
    if (!kept.length) node.y = line++;
    else { kept.forEach(place); node.y = (kept[0].y + kept.at(-1).y) / 2; }
  };
  const roots = nodes.filter((node) => node.parent < 0 && keep(node));
  roots.forEach(place);
  const shown = nodes.filter((node) => node.y !== undefined), wide = 96, high = 30;
  const deepest = Math.max(...shown.map((node) => node.step));
  const root = svg("svg", { width: (deepest + 1) * wide + 40, height: line * high + 24, role: "img", "aria-label": "beam tree" });
  const wideOf = (token) => Math.min(74, 7 + [...short(token, 8)].reduce((sum, one) => sum + (one > "\u2e80" ? 13 : 8), 0));
  const x = (node) => 12 + node.step * wide, y = (node) => 18 + node.y * high;
  for (const node of shown) {
    const onPath = chosen.has(node.at), dropped = node.children.filter((child) => !keep(child)).slice(0, 3);
    if (node.parent >= 0) {
      const from = nodes[node.parent], bend = x(node) - 18;
      root.append(svg("path", { d: `M${x(from) + wideOf(from.token)} ${y(from)}C${bend} ${y(from)} ${bend - 10} ${y(node)} ${x(node) - 5} ${y(node)}`, fill: "none",
        stroke: onPath ? "var(--accent)" : "var(--line)", "stroke-width": onPath ? 2.2 : 1.2 }));
    }
    root.append(svg("g", { "data-node": node.at, onmouseenter: (event) => showTip(event, `${node.token}: ${percent(Math.exp(node.log), 1)}, whole ${node.total.toFixed(2)} nats, ${node.fate}` +
      (dropped.length ? `\ndropped next: ${dropped.map((one) => `${one.token} ${percent(Math.exp(one.log), 1)}`).join(", ")}` : "")), onmouseleave: hideTip },
    svg("text", { x: x(node), y: y(node) + 4, "font-size": 12.5, "font-weight": onPath ? 700 : 400, class: node.fate === "finished" || onPath ? "" : "soft" }, short(node.token, 8)),
    label(x(node), y(node) + 16, percent(Math.exp(node.log)), "start", "soft", 9.5)));
  }
  return root;
}
