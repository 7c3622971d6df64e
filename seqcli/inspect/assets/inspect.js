"use strict";
// Puts the views together.
function buildHead() {
  const { model } = data, tokens = Object.entries(data.data.tokens).map(([name, count]) => `${count.toLocaleString("en")} ${name} tokens`).join(", ");
  document.title = `${model.name} · seqcli inspect`;
  $("#head").append(el("h1", {}, model.name, el("small", {}, `${model.task} · ${data.network} · ${model.parameters.toLocaleString("en")} parameters`)),
    el("p", { class: "facts" }, `${describeRows(data.data)}, ${tokens}; ${data.metric.name} ${data.metric.value.toFixed(4)}, loss ${data.metric.loss.toFixed(4)} nats. ` +
      Object.entries(data.parts).map(([name, part]) => `${name ? `${name[0].toUpperCase()}${name.slice(1)}: ` : ""}${counted(part.words.length, "word")} shown, ${percent(part.coverage, 1)} of the tokens.`).join(" ") +
      ` Weights ${model.checkpoint_sha256.slice(0, 12)}, data ${data.data.sha256.slice(0, 12)}, seqcli ${data.seqcli}.`),
    ...data.notes.map((note) => el("p", { class: "note" }, note)));
}

function buildToolbar() {
  const choose = el("select", { id: "site", onchange: (event) => changeSite(event.target.value) },
    Object.entries(data.sites).map(([key, one]) => el("option", { value: key, selected: key === data.main || null }, one.title)));
  const count = el("input", { type: "range", id: "clusters", step: 1, oninput: (event) => { set({ count: Number(event.target.value), cluster: null }); } });
  const links = el("input", { type: "range", id: "links", min: 0, max: 100, value: state.links, oninput: (event) => set({ links: Number(event.target.value) }) });
  const find = el("input", { type: "search", id: "find", placeholder: "find a word or a unit", list: "names", onkeydown: (event) => { if (event.key === "Enter") runFind(); } });
  find.addEventListener("change", runFind);
  $("#toolbar").append(el("div", {}, el("label", {}, "state ", choose), el("label", {}, "clusters ", count, el("output", { id: "count" })),
    el("label", {}, "links ", links), find, el("datalist", { id: "names" }), el("span", { id: "missed", class: "note", role: "status" }),
    el("button", { onclick: clear }, "clear"), el("button", { id: "theme", onclick: turn, "aria-label": "light or dark" }, "◐"),
    el("span", { class: "push" }, $$("main section").map((one) => el("a", { href: `#${one.id}` }, $("h2", one).textContent.split(":")[0])))));
  watch(["site", "count"], fitToolbar);
  fitToolbar();
}

function changeSite(key) {
  const same = data.sites[key].part === site().part;
  set({ site: key, units: [], words: same ? state.words : [], cluster: null, hover: null });
}

function fitToolbar() {
  const counts = Object.keys(site().raw.clusterings).map(Number);
  Object.assign($("#clusters"), { min: Math.min(...counts), max: Math.max(...counts), value: clustering().count });
  $("#site").value = state.site;
  $("#names").replaceChildren(...site().words.map((word) => el("option", { value: word })));
  sayCount();
}
const sayCount = () => { $("#count").textContent = clustering().count; };

function runFind() {
  const text = $("#find").value.trim(), one = site();
  if (!text) return;
  const unit = /^(?:unit\s*)?(\d+)$/i.exec(text);
  const word = [text, text.toLowerCase(), `␣${text}`].map((form) => one.words.indexOf(form)).find((at) => at >= 0);
  $("#missed").textContent = "";
  if (word !== undefined) { if (!state.words.includes(word)) pickWord(word); }
  else if (unit && Number(unit[1]) < one.units) { if (!state.units.includes(Number(unit[1]))) pickUnit(Number(unit[1])); }
  else { $("#missed").textContent = `no word or unit “${text}” here`; return; }
  $("#find").value = "";
}

function clear() { set({ words: [], units: [], cluster: null, hover: null, target: null }); hideTip(); }

document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "Escape") clear();
  else if (event.key === "/" && !typing) { $("#find").focus(); event.preventDefault(); }
});

buildHead();
buildOverview();
buildDetails();
buildSentence();
buildNumbers();
buildFlow();
buildProofs();
buildSearch();
buildToolbar();
document.documentElement.dataset.ready = "yes";
