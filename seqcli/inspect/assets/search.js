"use strict";
// Where else does the network think the same? A span's pattern, looked for in the sampled states.
const query = { sentence: 0, begin: 0, end: 0, threshold: 0.3, values: null };

// Begin with the token that says most, where that is known, or else the last one.
function startQuery(sentence) {
  const text = data.sentences[sentence], tokens = text.tokens[data.sites[data.sample.site].part];
  let at = tokens.length - 1;
  if (text.contributions) {
    const sizes = text.contributions.values.map((row) => Math.abs(row[0]));
    at = sizes.indexOf(Math.max(...sizes));
  }
  Object.assign(query, { sentence, begin: at, end: at });
}

function buildSearch() {
  if (!data.sample || !data.sample.tokens.length || !(data.sentences[0] && data.sentences[0].states[data.sample.site])) return;
  const one = data.sites[data.sample.site];
  const root = section("search", "Search: where else the state looks like this",
    `Pick a span (click its first token, then its last). The units of ${one.title} that stay active throughout, with one sign, are its pattern; ` +
    `other spans are ranked by shared units, then by fewest other active units, then by length. Searched: ${data.sample.tokens.length.toLocaleString("en")} sampled tokens (--find searches more).`);
  root.append(el("div", { class: "controls" }, el("label", {}, "text ", el("select", { id: "query", style: "max-width:60ch", onchange: (event) => {
    startQuery(Number(event.target.value)); drawQuery(); } },
  data.sentences.map((text, at) => el("option", { value: at }, text.text.slice(0, 90))))),
  el("label", {}, "active above ", el("input", { type: "range", min: 5, max: 95, value: 30, id: "threshold", oninput: (event) => { query.threshold = event.target.value / 100; drawQuery(); } }),
    el("output", { id: "above" }, "0.30"))), el("div", { class: "tokens", id: "span", role: "group", "aria-label": "tokens of the text" }), el("div", { id: "found" }));
  startQuery(0);
  drawQuery();
}

function drawQuery() {
  const text = data.sentences[query.sentence], tokens = text.tokens[data.sites[data.sample.site].part];
  $("#above").textContent = query.threshold.toFixed(2);
  $("#span").replaceChildren(...tokens.map((token, at) => el("button", { class: at >= query.begin && at <= query.end ? "in" : "", onclick: () => {
    if (query.begin === query.end && at > query.begin) query.end = at; else query.begin = query.end = at;
    drawQuery();
    $$("#span button")[at].focus();
  } }, token)));
  const found = runSearch(text);
  const show = (begin, end) => {
    const from = data.sample.sequence[begin], around = [];
    for (let at = Math.max(0, begin - 7); at < Math.min(data.sample.tokens.length, end + 7); at++) if (data.sample.sequence[at] === from) around.push(at);
    return around.map((at) => [at >= begin && at < end ? el("b", {}, data.sample.tokens[at]) : data.sample.tokens[at], " "]);
  };
  $("#found").replaceChildren(el("p", {}, `${counted(found.wanted, "unit")} active throughout the span.`),
    el("div", { class: "split" }, el("div", {}, el("h3", {}, "Spans with the same pattern"), found.matches.map((one) =>
      el("div", { class: "result" }, el("span", { class: "n" }, `${one.shared} of ${one.union}`), el("span", {}, show(one.begin, one.end))))),
    el("div", {}, el("h3", {}, "Nearest states by cosine (last token)"), found.nearest.map((one) =>
      el("div", { class: "result" }, el("span", { class: "n" }, one.cosine.toFixed(3)), el("span", {}, show(one.at, one.at + 1)))))));
}

// The same search as search.py, over the sample in the page.
function runSearch(text) {
  const units = data.sites[data.sample.site].units, sample = data.sample;
  query.values = query.values || unpack(sample.states);
  const own = unpack(text.states[sample.site]), h = query.values, level = query.threshold;
  const sign = (value) => (value > level ? 1 : value < -level ? -1 : 0);
  const wanted = new Int8Array(units);
  for (let unit = 0; unit < units; unit++) {
    wanted[unit] = sign(own[query.begin * units + unit]);
    for (let t = query.begin + 1; t <= query.end; t++) if (sign(own[t * units + unit]) !== wanted[unit]) wanted[unit] = 0;
  }
  const total = wanted.reduce((sum, value) => sum + Math.abs(value), 0), all = [];
  const longest = Math.max(3, 2 * (query.end - query.begin + 1)), alive = new Int8Array(units);
  for (let begin = 0; begin < sample.tokens.length; begin++) {
    for (let end = begin + 1; end <= Math.min(begin + longest, sample.tokens.length); end++) {
      if (sample.sequence[end - 1] !== sample.sequence[begin]) break;
      let shared = 0, active = 0;
      for (let unit = 0; unit < units; unit++) {
        const now = sign(h[(end - 1) * units + unit]);
        alive[unit] = end === begin + 1 || now === alive[unit] ? now : 0;
        if (alive[unit]) { active++; if (alive[unit] === wanted[unit]) shared++; }
      }
      if (shared) all.push({ begin, end, shared, union: active + total - shared }); else break;
    }
  }
  all.sort((a, b) => b.shared - a.shared || a.union - b.union || (b.end - b.begin) - (a.end - a.begin) || a.begin - b.begin);
  const taken = new Uint8Array(sample.tokens.length), matches = [];
  for (const one of all) {
    if (matches.length === 15) break;
    if (taken.subarray(one.begin, one.end).some(Boolean)) continue;
    taken.fill(1, one.begin, one.end);
    matches.push(one);
  }
  const last = own.subarray(query.end * units, (query.end + 1) * units), size = Math.hypot(...last), nearest = [];
  for (let at = 0; at < sample.tokens.length; at++) {
    let product = 0, square = 0;
    for (let unit = 0; unit < units; unit++) { const value = h[at * units + unit]; product += value * last[unit]; square += value * value; }
    nearest.push({ at, cosine: product / Math.max(1e-12, Math.sqrt(square) * size) });
  }
  nearest.sort((a, b) => b.cosine - a.cosine);
  return { wanted: total, matches, nearest: nearest.slice(0, 10) };
}
