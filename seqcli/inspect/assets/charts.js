"use strict";
// Numbers of every site, gates, gradient flow, and the proofs.
const NAMES = { saturation: "saturated", update: "mean |Δ|", update_density: "|Δ| > 0.1", update_sparsity: "Δ sparsity",
  kept_rate: "kept", memory_scale: "memory (steps)", response_hoyer: "S Hoyer", response_gini: "S Gini" };

function buildNumbers() {
  const root = section("numbers", "Numbers: how full, how restless, how long the memory",
    `Every number is a ratio of sums over examples; below it the 95 % bootstrap interval over examples. Kept is the ${data.explain.kept_rate}. Memory scale is 1 / (1 − mean share that the gates keep).`);
  const sites = Object.values(data.sites);
  const columns = Object.keys(NAMES).filter((name) => sites.some((one) => name in one.numbers));
  const row = (one) => el("tr", {}, el("th", { scope: "row" }, one.title), columns.map((name) => {
    const value = one.numbers[name], range = one.intervals[name];
    if (value === undefined) return el("td", {}, "–");
    return el("td", {}, value.toFixed(3), range ? el("small", {}, `${range[0].toFixed(3)} … ${range[1].toFixed(3)}`) : null);
  }));
  root.append(el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "state"),
    columns.map((name) => el("th", { scope: "col", title: data.explain[name] || "" }, NAMES[name])))), el("tbody", {}, sites.map(row)))));
  const holder = el("div", { class: "charts" });
  const gated = sites.filter((one) => Object.keys(one.unit_numbers).some((name) => name.endsWith("_shut")));
  for (const one of gated) for (const name of Object.keys(one.unit_numbers)) if (name.endsWith("_shut")) holder.append(gateChart(one, name.slice(5, -5)));
  for (const one of sites) if (one.unit_numbers.memory_scale) holder.append(memoryChart(one));
  root.append(gated.length ? el("h3", {}, "Gates: one dot a unit") : el("p", { class: "explain" },
    "This cell has no gates: gate fractions and memory scale are left out."), holder);
}

function gateChart(one, letter) {
  const shut = one.unit_numbers[`gate_${letter}_shut`], open = one.unit_numbers[`gate_${letter}_open`];
  const { root, x0, x1, y0, y1 } = frame(240, 200, [36, 24, 34, 40], `Gate ${letter}, ${one.title}`);
  root.append(label(x0 - 34, 11, `gate ${letter}, ${one.title.replace(/, h$/, "")}`, "start", "", 12), label(x0 - 34, 25, one.gates[letter]));
  for (const value of [0, 0.5, 1]) {
    root.append(svg("line", { class: "grid", x1: x0, x2: x1, y1: y0 + value * (y1 - y0), y2: y0 + value * (y1 - y0) }),
      label(x0 - 5, y0 + value * (y1 - y0) + 4, percent(value), "end"), label(x0 + value * (x1 - x0), y0 + 14, percent(value), "middle"));
  }
  root.append(svg("line", { class: "axis", x1: x0, x2: x1, y1: y1, y2: y0, "stroke-dasharray": "3 3" }), label((x0 + x1) / 2, y0 + 28, "→ shut (below 0.1)   ↑ open (above 0.9)", "middle"));
  shut.forEach((value, unit) => root.append(svg("circle", { cx: x0 + value * (x1 - x0), cy: y0 + open[unit] * (y1 - y0), r: 3, fill: "var(--accent)", opacity: 0.5,
    onmouseenter: (event) => showTip(event, `unit ${unit}\nshut ${percent(value)}, open (above 0.9) ${percent(open[unit])}`), onmouseleave: hideTip })));
  return root;
}

function memoryChart(one) {
  const sorted = [...one.unit_numbers.memory_scale].sort((a, b) => a - b);
  const { root, x0, x1, y0, y1 } = frame(250, 190, [22, 10, 34, 44], `Memory scale of the units of ${one.title}`);
  const low = Math.log10(Math.min(1, sorted[0])), high = Math.log10(Math.max(10, sorted.at(-1)));
  const y = (value) => y0 + ((Math.log10(Math.max(value, 1e-3)) - low) / (high - low)) * (y1 - y0);
  root.append(label(0, 13, `memory scale, ${one.title.replace(/, h$/, "")}`, "start", "", 12));
  for (const value of [1, 2, 5, 10, 20, 50, 100, 1000]) {
    if (y(value) < y1 - 1 || y(value) > y0 + 1) continue;
    root.append(svg("line", { class: "grid", x1: x0, x2: x1, y1: y(value), y2: y(value) }), label(x0 - 5, y(value) + 4, value, "end"));
  }
  root.append(svg("path", { class: "line", d: path(sorted.map((value, at) => [x0 + (at / Math.max(1, sorted.length - 1)) * (x1 - x0), y(value)])) }),
    label((x0 + x1) / 2, y0 + 16, "units, sorted; steps (log scale)", "middle"));
  return root;
}

function buildFlow() {
  const root = section("flow", "Gradient flow: how far back learning reaches",
    "The loss's gradient at a layer's last state, followed back through the recurrence alone with the cell's reference step; " +
    "shares of lag 0, log scale. What is kept a step is the geometric mean up to the first lag with less than 1 %, or to the last lag looked at. " +
    "Less than 60 % a step (99 % lost within nine steps), or at that rate less than 5 % after a tenth of a typical text (10 steps where text is read on end), vanishes; more than 5 % growth a step explodes. Where a cell has h and c, the verdict is on c.");
  const holder = el("div", { class: "charts" });
  for (const [key, one] of Object.entries(data.flow)) {
    const chart = lagChart(Object.entries(one.norms).map(([letter, values]) => ({ name: `∂L/∂${letter}`, values })), key);
    holder.append(el("div", {}, el("p", {}, el("b", {}, `${key.replaceAll(".", " ")} `), el("span", { class: `verdict ${one.verdict}`, "data-verdict": key }, one.verdict)), chart,
      el("p", { class: "explain" }, `${describeFlow(one)}; ${counted(one.texts, one.length === null ? "stream" : "text")}`)));
  }
  for (const [part, values] of Object.entries(data.connectivity)) {
    holder.append(el("div", {}, el("p", {}, el("b", {}, `connectivity ${part}`)), lagChart([{ name: "‖∂logit/∂x‖", values }], "connectivity", false),
      el("p", { class: "explain" }, "how much an input still moves the last score, by its distance from the last token")));
  }
  root.append(holder);
}

function describeFlow(one) {
  const lags = one.norms.h.length - 1;
  return `× ${dash(one.factor, 3)} a step; ` + (one.horizon === null ? `1 % not reached within ${counted(lags, "step")}` : `below 1 % after ${one.horizon} of ${lags} steps`);
}

function lagChart(series, title, relative = true) {
  const { root, x0, x1, y0, y1 } = frame(340, 170, [10, 12, 34, 48], `Gradient by lag: ${title}`);
  const all = series.flatMap((one) => one.values).filter((value) => value > 0);
  const high = Math.ceil(Math.log10(Math.max(relative ? 1 : 1e-9, ...all)) + 0.01), low = Math.max(high - 8, Math.floor(Math.log10(Math.min(...all))));
  const longest = Math.max(...series.map((one) => one.values.length)) - 1;
  const x = (lag) => x0 + (lag / Math.max(1, longest)) * (x1 - x0), y = (value) => y0 + ((Math.max(Math.log10(Math.max(value, 1e-300)), low) - low) / Math.max(1, high - low)) * (y1 - y0);
  for (let power = low; power <= high; power += Math.max(1, Math.round((high - low) / 4))) {
    root.append(svg("line", { class: "grid", x1: x0, x2: x1, y1: y(10 ** power), y2: y(10 ** power) }), label(x0 - 6, y(10 ** power) + 4, power === 0 ? "1" : `10${[...String(power)].map((c) => ({ "-": "⁻" })[c] || "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]).join("")}`, "end"));
  }
  for (const share of [0, 0.25, 0.5, 0.75, 1]) root.append(label(x(Math.round(longest * share)), y0 + 14, Math.round(longest * share), "middle"));
  root.append(label((x0 + x1) / 2, y0 + 29, "lag in steps", "middle"));
  series.forEach((one, at) => {
    root.append(svg("path", { d: path(one.values.map((value, lag) => [x(lag), y(value)])), fill: "none", stroke: LINES[at], "stroke-width": 1.8 }),
      svg("text", { x: x1 - 4, y: y1 + 12 + at * 14, "text-anchor": "end", "font-size": 11, style: `fill:${LINES[at]}` }, one.name));
  });
  return root;
}

function buildProofs() {
  const root = section("proofs", "Proofs: take units away, and read properties off states",
    "Silenced units have a constant value wherever anything reads them, their own recurrence included. Grey dots are random sets of as many units of the same layer: " +
    "an effect within the grey is no finding. p is the share of sets that hurt at least as much; – where there are no others to compare with.");
  if (data.ablation.length) {
    const first = data.ablation[0];
    root.append(el("h3", {}, `Ablation in ${first.layer}, units held at ${first.how === "zero" ? "zero" : "their means"}`),
      el("p", { class: "explain" }, `Each judged on ${first.rows === null ? "" : `${counted(first.rows, "row")}, `}${counted(first.tokens, "token")}.`),
      el("div", { class: "charts" }, strip("change of the loss (nats)", (one) => [one.loss, one.random_loss, one.loss_worse]),
        strip(`change of ${first.metric_name}`, (one) => [one.metric, one.random, one.worse])));
    const hurt = data.ablation.filter((one) => one.classes.length);
    if (hurt.length) root.append(el("table", {}, el("thead", {}, el("tr", {}, ["silenced", "recall lost most", "before", "after", "after, random sets"].map((name) => el("th", { scope: "col" }, name)))), el("tbody", {},
      hurt.map((one) => one.classes.map(([name, ...values], at) => el("tr", {}, el("td", {}, at ? "" : one.name), el("td", {}, name), values.map((value) => el("td", {}, value === null ? "–" : percent(value)))))))));
    if (!data.ablation.every((one) => one.whole_loop)) root.append(el("p", { class: "note" }, "Only the outputs are silenced: in the cell's own loop, which is not cut, the units go on."));
  }
  if (data.probes.length) root.append(el("h3", {}, "Linear probes"), el("table", {}, el("thead", {}, el("tr", {},
    ["property", "state", "accuracy", "control task", "majority", "selectivity"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, data.probes.map((one) => el("tr", {}, el("td", {}, one.property), el("td", {}, one.site), [one.accuracy, one.control, one.majority].map((v) => el("td", {}, percent(v, 1))),
      el("td", {}, signed(100 * one.selectivity, 1)))))), el("p", { class: "explain" },
    "The control task gives each word a random value: a probe that does as well on it has merely memorised the words."));
  for (const one of data.probes_missing) root.append(el("p", { class: "note" }, `The probe ${one.property} cannot be made: ${one.why}.`));
  if (!data.ablation.length && !data.probes.length && !data.probes_missing.length) root.append(el("p", {}, "None were asked for."));
}

function strip(title, read) {
  const rows = data.ablation, { root, x0, x1 } = frame(560, rows.length * 26 + 46, [20, 60, 24, 120], title);
  const values = rows.flatMap((one) => { const [pair, random] = read(one); return [pair[1] - pair[0], ...random.map((value) => value - pair[0])]; });
  const top = Math.max(1e-6, ...values.map(Math.abs)) * 1.08, x = (value) => x0 + ((value + top) / (2 * top)) * (x1 - x0);
  root.append(label(x0, 12, title, "start", "", 12), svg("line", { class: "axis", x1: x(0), x2: x(0), y1: 18, y2: rows.length * 26 + 24 }));
  for (const value of [-top, 0, top]) root.append(label(x(value), rows.length * 26 + 38, signed(value, 3), "middle"));
  rows.forEach((one, at) => {
    const [pair, random, p] = read(one), y = 34 + at * 26, change = pair[1] - pair[0];
    root.append(label(0, y + 4, `${one.name} (${one.units.length})`, "start", "", 12), svg("line", { class: "grid", x1: x0, x2: x1, y1: y, y2: y }));
    for (const value of random) root.append(svg("circle", { cx: x(value - pair[0]), cy: y, r: 4, fill: "var(--soft)", opacity: 0.45 }));
    root.append(svg("rect", { x: x(change) - 5, y: y - 5, width: 10, height: 10, transform: `rotate(45 ${x(change)} ${y})`, fill: "var(--accent)",
      onmouseenter: (event) => showTip(event, `${one.name}: ${signed(change, 4)}\np ${dash(p)} against ${random.length} random sets`), onmouseleave: hideTip }),
      label(x1 + 8, y + 4, `p ${dash(p)}`));
  });
  return root;
}
