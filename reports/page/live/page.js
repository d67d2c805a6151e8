// The page answers to its reader: light a model, choose, sort, zoom, open a cell's evidence.
//
// All of it follows from one `state`, which the address's fragment holds, so that a view can be
// sent. A change goes one way: an event changes the state, `apply` writes the fragment and makes
// the page look like it. Words of a run, which may be anybody's, become text and never markup.
// Without this script the page's static figures and tables stand as they are, as they do in print.
(() => {
"use strict";

const DATA = JSON.parse(document.getElementById("page-data").textContent);
const SPECS = JSON.parse(document.getElementById("page-specs").textContent);
if (!DATA.workloads.length) return;

const WORKLOADS = new Map(DATA.workloads.map((each) => [each.id, each]));
const SUBJECTS = new Map(DATA.subjects.map((each) => [each.name, each]));
const MODELS = [...new Set(DATA.subjects.map((each) => each.model))];
const INTERPRETERS = [...new Set(DATA.subjects.map((each) => each.interpreter))];
const FAMILIES = new Map();
for (const { family, model } of DATA.subjects) {
  FAMILIES.set(family, (FAMILIES.get(family) ?? new Set()).add(model));
}
const $ = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// ---- elements and words

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function button(words, act, attributes = {}) {
  const element = make("button", { type: "button", ...attributes }, words);
  element.addEventListener("click", act);
  return element;
}

// As reports/units.py writes them; figures themselves come in words that it wrote.
function number(value) {
  return value === 0 || Math.abs(value) >= 99.95 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
}

function duration(us) {
  const [scale, unit] = [[1e6, "s"], [1e3, "ms"], [1, "us"]].find(([least]) => us >= least * 0.9995) ?? [1, "us"];
  return `${number(us / scale)} ${unit}`;
}

const tell = (figure, value) => (figure.latency ? duration(value) : `${number(value)} ${figure.unit}`);
const axisTitle = (figure) => [figure.title, figure.latency ? "" : figure.unit].filter(Boolean).join(", ");
const percentile = (nines) => `p${Number((100 - 100 / nines).toPrecision(6))}`;

// ---- the state, and the fragment that holds it

const AXES = ["as suits", "linear", "log"];
// A run's extra placements have few models; the page begins with a workload that has them all.
const FULLEST = DATA.workloads.reduce((most, each) => (each.cells.length > most.cells.length ? each : most));
const DEFAULTS = Object.freeze({
  workload: FULLEST.id, figure: DATA.figures[0], axes: AXES[0], best: false, cell: "", nines: "", seconds: "",
});
const SETS = Object.freeze({ lit: SUBJECTS, hide: new Set(MODELS), without: new Set(INTERPRETERS), sort: null });
const empty = () => ({ ...DEFAULTS, lit: new Set(), hide: new Set(), without: new Set(), sort: new Set() });
let state = empty();
let anchor = "";

const VALID = {
  workload: (value) => WORKLOADS.has(value),
  figure: (value) => DATA.figures.includes(value),
  axes: (value) => AXES.includes(value),
  cell: (value) => cellNamed(value) !== undefined,
  nines: (value) => rangeOf(value) !== null,
  seconds: (value) => rangeOf(value) !== null,
};

function rangeOf(words) {
  const ends = words.split("~").map(Number);
  return words && ends.length === 2 && ends.every((end) => Number.isFinite(end) && end >= 0) && ends[0] < ends[1] ? ends : null;
}

// A fragment is an anchor, a state, or both: #echo, #figure=p99&lit=asyncio, #echo&figure=p99.
function readFragment() {
  const parts = location.hash.slice(1).split("&");
  anchor = parts[0].includes("=") ? "" : parts.shift();
  if (!parts.length) return; // a link within the page: what was chosen stays chosen
  const given = new URLSearchParams(parts.join("&"));
  const next = empty();
  for (const name of Object.keys(DEFAULTS)) {
    const value = given.get(name);
    if (value === null) continue;
    if (typeof DEFAULTS[name] === "boolean") next[name] = value === "1";
    else if (VALID[name](value)) next[name] = value;
  }
  for (const [name, known] of Object.entries(SETS)) {
    for (const value of given.getAll(name)) if (!known || known.has(value)) next[name].add(value);
  }
  for (const value of given.getAll("only")) if (SETS.hide.has(value)) next.hide.delete(value);
  if (given.has("only")) next.hide = new Set(MODELS.filter((model) => !given.getAll("only").includes(model)));
  state = next;
}

function writeFragment() {
  const words = new URLSearchParams();
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    if (state[name] !== usual) words.set(name, state[name] === true ? "1" : state[name]);
  }
  const mostHidden = state.hide.size > MODELS.length / 2;
  for (const name of Object.keys(SETS)) {
    if (name === "hide" && mostHidden) MODELS.filter((model) => !state.hide.has(model)).forEach((model) => words.append("only", model));
    else state[name].forEach((value) => words.append(name, value));
  }
  const fragment = [anchor, words.toString()].filter(Boolean).join("&");
  if (fragment !== location.hash.slice(1)) history.replaceState(null, "", `#${fragment}`);
}

function change(changes) {
  Object.assign(state, changes);
  apply();
}

function toggled(set, value) {
  const next = new Set(set);
  if (!next.delete(value)) next.add(value);
  return next;
}

const toggleLit = (subject) => change({ lit: toggled(state.lit, subject) });
const isLog = (suited = false) => state.axes === "log" || (suited && state.axes === "as suits");
const shown = (subject) => !state.hide.has(subject.model) && !state.without.has(subject.interpreter);
const cellKey = (workload, subject) => `${workload}/${subject}`;

function cellNamed(key) {
  const cut = key.indexOf("/");
  const workload = WORKLOADS.get(key.slice(0, cut));
  const cell = workload?.cells.find((each) => DATA.subjects[each.subject].name === key.slice(cut + 1));
  return cell && { workload, cell, subject: DATA.subjects[cell.subject] };
}

// ---- what the charts draw: rows made of the data block

function rowsOf(workload, name) {
  const figure = workload.figures[name];
  return workload.cells
    .map((cell) => ({ cell, subject: DATA.subjects[cell.subject], found: cell.figures[name] }))
    .filter(({ subject, found }) => shown(subject) && found && (!isLog() || found[1] > 0))
    .map(({ cell, subject, found: [value, low, high, words, range] }) => ({
      subject: subject.name, colour: subject.colour, cell, value, low, high, words, order: cell.subject,
      tip: [subject.name, `${figure.title}: ${words} ${figure.latency ? "" : figure.unit}`, range && `interval ${range}`,
        cell.ranks[name] ? `rank ${cell.ranks[name]}` : `not ranked: ${cell.unranked || "not by this figure"}`].filter(Boolean).join("\n"),
    }));
}

function bestFirst(rows, figure) {
  return [...rows].sort((a, b) => (figure.more ? b.value - a.value : a.value - b.value));
}

// Who nobody surely beats, by the ranks that the report has computed.
function finding(rows, name) {
  const first = rows.filter((row) => /^1(\D|$)/.test(row.cell.ranks[name] ?? ""));
  if (!first.length) return "This run ranks nobody by it.";
  const named = first.slice(0, 4).map((row) => `${row.subject} (${row.words})`).join(", ");
  const more = first.length > 4 ? ` and ${first.length - 4} more` : "";
  return `Nobody surely does better than ${named}${more}.`;
}

function trialsOf(row, figure, name) {
  return row.cell.trials[name].flatMap((value, place) => value === null || (isLog() && value <= 0) ? [] : [{
    subject: row.subject, colour: row.colour, order: row.order, value, block: row.cell.blocks[place] + 1,
    tip: `${row.subject}, block ${row.cell.blocks[place] + 1}: ${tell(figure, value)}`,
  }]);
}

// Every view says in `says` what is to be seen, which is its caption and its description as well.
const VIEWS = {
  figures(workload, name) {
    const figure = workload.figures[name];
    const rows = rowsOf(workload, name);
    if (state.best) bestFirst(rows, figure).forEach((row, place) => { row.order = place; });
    return {
      says: `${figure.title} of ${workload.scenario}, ${workload.level}, each trial a stroke. ${finding(rows, name)}`,
      values: { cells: rows, trials: rows.flatMap((row) => trialsOf(row, figure, name)) },
      signals: { title: axisTitle(figure), latency: figure.latency }, scales: ["x"],
    };
  },
  plane(workload, name) {
    const figure = workload.figures.throughput;
    const lateName = workload.figures[name].latency ? name : "p99";
    const late = workload.figures[lateName];
    const rows = rowsOf(workload, "throughput").flatMap((row) => {
      const found = row.cell.figures[lateName];
      if (!found || (isLog() && found[1] <= 0)) return [];
      return [{ ...row, late: found[0], lateLow: found[1], lateHigh: found[2], tip: `${row.tip}\n${late.title}: ${found[3]} (${found[4]})` }];
    });
    let least = Infinity; // on the front is who is faster than all that answer sooner
    const front = bestFirst(rows, figure).filter((row) => row.late < least && ((least = row.late), true));
    for (const row of front) row.front = true;
    return {
      says: `Throughput and ${late.title.toLowerCase()} of ${workload.scenario}: none is better at both than ${front.slice(0, 4).map((row) => row.subject).join(", ")}.`,
      values: { cells: rows }, signals: { title: axisTitle(figure), titleLate: axisTitle(late) }, scales: ["x", "y"],
    };
  },
  curve(workload) {
    const known = [], bounds = [], points = [];
    for (const cell of workload.cells) {
      const subject = DATA.subjects[cell.subject];
      if (!shown(subject)) continue;
      cell.curve.us.forEach((us, place) => {
        const nines = DATA.nines[place];
        const exact = cell.figures[percentile(nines)];
        const atLeast = place >= cell.curve.known;
        const row = { subject: subject.name, colour: subject.colour, nines, us };
        row.tip = `${subject.name}\n${percentile(nines)}: ${atLeast ? "at least " : ""}${exact ? `${exact[3]} (${exact[4]})` : duration(us)}`;
        points.push(row);
        if (!atLeast) known.push(row);
        if (place >= cell.curve.known - 1) bounds.push(row);
      });
    }
    // What is only a lower bound leaves the chart at its upper edge, and does not stretch it.
    const ends = known.length ? [Math.min(...points.map((row) => row.us)), 1.1 * Math.max(...known.map((row) => row.us))] : null;
    return { says: `Latency of ${workload.scenario} by percentile; dotted where unanswered requests make it a lower bound.`,
      values: { known, bounds, points }, signals: { title: "latency" }, scales: ["y"], suitsLog: true, ends };
  },
  time(workload, name) {
    const key = name in { p50: 1, p99: 1 } ? name : "throughput";
    const figure = workload.figures[key].latency ? workload.figures[key] : { title: "Throughput", unit: "requests/s" };
    const rows = workload.cells.filter((cell) => shown(DATA.subjects[cell.subject])).flatMap((cell) => timeRows(cell, key, figure));
    return { says: `${figure.title} of ${workload.scenario} over one window: of each model the trial of median throughput.`,
      values: { known: rows, points: rows }, signals: { title: axisTitle(figure), latency: Boolean(figure.latency) }, scales: ["y"] };
  },
};

function timeRows(cell, key, figure) {
  const { name, colour } = DATA.subjects[cell.subject];
  return (cell.time.seconds ?? []).flatMap((seconds, place) => {
    const value = cell.time[key][place];
    if (value === null || (isLog() && value <= 0)) return [];
    return [{ subject: name, colour, seconds, value, tip: `${name}, at ${number(seconds)} s: ${tell(figure, value)}` }];
  });
}

// ---- drawing, by Vega

const tip = () => document.getElementById("tip");

function showTip(_handler, event, _item, words) {
  const element = tip();
  element.hidden = !words;
  if (!words) return;
  element.textContent = words;
  const { width, height } = element.getBoundingClientRect();
  element.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
  element.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - height - 8))}px`;
}

const LOADER = { // a page needs no network, and neither does what it draws
  load: () => Promise.reject(new Error("this page loads nothing")),
  sanitize: () => Promise.reject(new Error("this page loads nothing")),
};

function draw(plot, name, { says, values, signals, scales, suitsLog, ends }, zoomed = null) {
  plot.view?.finalize();
  plot.view = null;
  plot.replaceChildren();
  if (!Object.values(values).some((rows) => rows.length)) {
    plot.append("Nothing to show: no figure of this workload, or every model is hidden.");
    return;
  }
  const spec = structuredClone(SPECS[name]);
  spec.description = says;
  for (const source of spec.data) if (source.name in values) source.values = values[source.name];
  for (const scale of spec.scales) {
    // A scale's kind is no signal in Vega, and is changed before it is read.
    if (isLog(suitsLog) && scales.includes(scale.name)) Object.assign(scale, { type: "log", zero: undefined });
    if (scale.name === "y" && ends) scale.domain = ends;
    if (scale.name === "x" && scale.type !== "point") scale.domainRaw = { signal: "zoomed" };
  }
  spec.signals.push({ name: "zoomed", value: zoomed });
  for (const signal of spec.signals) if (signal.name in signals) signal.value = signals[signal.name];
  spec.signals.find((signal) => signal.name === "lit").value = [...state.lit];
  const view = new vega.View(vega.parse(spec), { renderer: "svg", container: plot, hover: true, loader: LOADER, tooltip: showTip });
  view.addEventListener("click", (_event, item) => { if (item?.datum?.subject && !plot.dragged) toggleLit(item.datum.subject); });
  plot.view = view;
  view.runAsync().catch((error) => { console.error(error); plot.textContent = `This chart could not be drawn: ${error.message}`; });
}

// A view is drawn when it comes into sight, so that the page opens at once.
const inSight = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    entry.target.seen = entry.isIntersecting;
    if (entry.isIntersecting && entry.target.stale) drawView(entry.target);
  }
}, { rootMargin: "200px" });

const LONG = 14; // rows of a view beside which the other views stand in one column

let drawnOf = "";

function drawViews() {
  const { lit, cell, sort, nines, seconds, ...rest } = state; // what needs no new drawing
  const of = JSON.stringify(rest, (_key, value) => (value instanceof Set ? [...value] : value));
  for (const figure of all("#explore figure")) {
    const view = $(".plot", figure).view;
    if (of !== drawnOf) figure.stale = true;
    if (figure.stale) { if (figure.seen) drawView(figure); } else if (view) {
      view.signal("lit", [...lit]);
      if (figure.dataset.zoom) view.signal("zoomed", rangeOf(state[figure.dataset.zoom]));
      view.runAsync();
    }
  }
  drawnOf = of;
}

function drawView(figure) {
  figure.stale = false;
  const drawn = VIEWS[figure.dataset.view](WORKLOADS.get(state.workload), state.figure);
  $(".says", figure).textContent = drawn.says;
  figure.classList.toggle("long", drawn.values.cells?.length > LONG);
  draw($(".plot", figure), figure.dataset.view, drawn, figure.dataset.zoom ? rangeOf(state[figure.dataset.zoom]) : null);
}

// ---- zoom: drag across, the buttons, or the keys + - 0 and the arrows

function zoomBy(figure, factor, shift = 0) {
  const view = $(".plot", figure).view;
  if (!view) return;
  const log = figure.dataset.zoom === "nines"; // whose axis is a logarithm
  const [to, from] = log ? [Math.log, Math.exp] : [Number, Number];
  const whole = wholeOf(figure).map(to);
  const [low, high] = view.scale("x").domain().map(to);
  const middle = (low + high) / 2 + shift * (high - low);
  const half = ((high - low) / 2) * factor;
  const least = Math.max(whole[0], Math.min(middle - half, whole[1] - 2 * half));
  setZoom(figure, [from(least), from(Math.min(whole[1], least + 2 * half))]);
}

function wholeOf(figure) {
  const workload = WORKLOADS.get(state.workload);
  const values = figure.dataset.zoom === "nines"
    ? workload.cells.flatMap((cell) => DATA.nines.slice(0, cell.curve.us.length))
    : workload.cells.flatMap((cell) => cell.time.seconds ?? []);
  return [Math.min(...values), Math.max(...values)];
}

function setZoom(figure, range) {
  const whole = wholeOf(figure);
  const isWhole = !range || (range[0] <= whole[0] * 1.0001 && range[1] >= whole[1] * 0.9999);
  const words = isWhole ? "" : range.map((end) => Number(end.toPrecision(4))).join("~");
  change({ [figure.dataset.zoom]: rangeOf(words) ? words : "" });
}

const KEYS = { "+": [0.5], "=": [0.5], "-": [2], ArrowLeft: [1, -0.25], ArrowRight: [1, 0.25], 0: [Infinity] };

function makeZoomable(figure) {
  const plot = $(".plot", figure);
  plot.tabIndex = 0;
  plot.setAttribute("role", "group");
  plot.setAttribute("aria-label", "Zoom with + and -, move with the arrow keys, 0 for the whole");
  const act = (factor, shift) => (factor === Infinity ? setZoom(figure, null) : zoomBy(figure, factor, shift));
  plot.addEventListener("keydown", (event) => {
    const how = KEYS[event.key];
    if (!how || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act(...how);
  });
  const axis = figure.dataset.zoom === "nines" ? "percentiles" : "time axis";
  $("figcaption", figure).prepend(make("span", { class: "zooms" },
    button("+", () => act(0.5), { "aria-label": `Zoom into the ${axis}` }), " ",
    button("\u2212", () => act(2), { "aria-label": `Zoom out of the ${axis}` }), " ",
    button("whole", () => act(Infinity), { "aria-label": `The whole ${axis}` })));
  let start = null;
  const brush = make("div", { class: "brush", hidden: "" });
  const xOf = (event) => event.clientX - plot.getBoundingClientRect().left;
  plot.addEventListener("pointerdown", (event) => { if (event.button === 0 && plot.view) { start = xOf(event); plot.dragged = false; plot.append(brush); } });
  plot.addEventListener("pointermove", (event) => {
    if (start === null) return;
    const [from, to] = [start, xOf(event)].sort((a, b) => a - b);
    if (to - from < 8) return;
    plot.dragged = true; // and what follows is no click on a model
    brush.hidden = false;
    Object.assign(brush.style, { left: `${from}px`, width: `${to - from}px` });
  });
  addEventListener("pointerup", (event) => {
    if (start === null) return;
    const ends = [start, xOf(event)].sort((a, b) => a - b);
    start = null;
    brush.hidden = true;
    if (!plot.dragged) return;
    const [left] = plot.view.origin();
    const scale = plot.view.scale("x");
    const [low, high] = scale.domain();
    const [from, to] = ends.map((x) => Math.min(high, Math.max(low, scale.invert(x - left))));
    if (from < to) setZoom(figure, [from, to]);
  });
}

// ---- tables: names that light, cells that open, columns that sort

const isMissing = (cell) => cell.matches(".hatched, .none, .missing") || /^\s*\u2013?\s*$/.test(cell.textContent);

// A cell's value as what it says: 1.24 ms, >= 600 ms, 83%, 12,000; or its words.
function valueOf(cell) {
  if (!cell || isMissing(cell) || cell.textContent.trimStart().startsWith("\u2013")) return null;
  const words = cell.dataset.value ?? cell.textContent.replaceAll(",", "").trim();
  const found = words.match(/^(?:\u2265\s*)?(-?\d+(?:\.\d+)?)\s*(us|ms|s)?(?![a-z])/);
  return found ? Number(found[1]) * ({ ms: 1e3, s: 1e6 }[found[2]] ?? 1) : words.toLowerCase();
}

function compareCells(a, b) {
  if (a === null || b === null) return (a === null) - (b === null); // what is missing comes last
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
}

function sortable(table, place) {
  const heads = all("thead tr:last-child th", table);
  const bodies = all("tbody", table);
  const rows = bodies.map((body) => [...body.rows]);
  const data = rows.flat().filter((row) => row.cells.length === heads.length);
  if (data.length < 2) return;
  heads.forEach((head, column) => {
    const next = { none: "ascending", ascending: "descending", descending: "none" };
    const words = make("span");
    words.append(...head.childNodes);
    const links = $("a", words);
    const act = button("", () => {
      const others = [...state.sort].filter((each) => !each.startsWith(`${place}.`));
      const to = next[head.getAttribute("aria-sort")];
      change({ sort: new Set(to === "none" ? others : [...others, `${place}.${column}.${to}`]) });
    }, { class: "plain" });
    if (links) { act.append("\u2195"); act.setAttribute("aria-label", `Sort by ${links.textContent}`); head.append(words, " ", act); } else { act.append(words); head.append(act); }
    head.setAttribute("aria-sort", "none");
  });
  table.arrange = () => {
    const [, column, direction] = ([...state.sort].find((each) => each.startsWith(`${place}.`)) ?? "").split(".");
    const key = `${column}.${direction}`;
    if (table.arranged === key) return;
    table.arranged = key;
    heads.forEach((head, each) => head.setAttribute("aria-sort", String(each) === column ? direction : "none"));
    if (!heads[column]) { bodies.forEach((body, each) => body.append(...rows[each])); } else {
      const sign = direction === "descending" ? -1 : 1;
      const keyed = data.map((row) => [Number(column) ? valueOf(row.cells[column]) : (row.dataset.model ?? row.cells[0].textContent), row]);
      keyed.sort(([a], [b]) => (a === null || b === null ? compareCells(a, b) : sign * compareCells(a, b)));
      bodies[0].append(...keyed.map(([, row]) => row));
    }
    for (const row of rows.flat()) if (!data.includes(row)) row.hidden = Boolean(heads[column]); // a family's name
  };
}

function nameLights(row) {
  const subject = row.dataset.model;
  const head = $("th", row);
  if (!head || !SUBJECTS.has(subject)) return;
  const walker = document.createTreeWalker(head, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.textContent.trim() !== subject) continue;
    node.replaceWith(button(subject, () => toggleLit(subject), { class: "plain light", "aria-pressed": "false" }));
    return;
  }
}

function cellOpens(cell) {
  const { workload } = cell.dataset;
  const subject = cell.closest("[data-model]")?.dataset.model;
  const key = cellKey(workload, subject);
  if (!cellNamed(key)) return;
  const inside = button("", () => change({ cell: key }), { class: "plain", tabindex: "-1", "aria-haspopup": "dialog", title: cell.title || "open the evidence" });
  inside.append(...cell.childNodes);
  cell.append(inside);
}

// A table of cells is one stop for the Tab key; within it the arrow keys move.
function makeGrid(table) {
  const buttons = all("td > button", table);
  if (!buttons.length) return;
  buttons[0].tabIndex = 0;
  table.addEventListener("keydown", (event) => {
    const [down, across] = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key] ?? [0, 0];
    const cell = event.target.closest("td");
    if (!cell || !(down || across)) return;
    event.preventDefault();
    const rows = all("tbody tr", table).filter((row) => !row.hidden);
    let row = rows.indexOf(cell.parentElement), column = cell.cellIndex;
    for (let next; (next = rows[(row += down)]?.cells[(column += across)]);) {
      const found = $("button", next);
      if (next.tagName !== "TD" || !found) continue;
      event.target.tabIndex = -1;
      found.tabIndex = 0;
      found.focus();
      return;
    }
  });
}

function markTables() {
  for (const row of all("tr[data-model]")) {
    const { model } = row.dataset;
    row.classList.toggle("lit", state.lit.has(model));
    row.hidden = SUBJECTS.has(model) && !shown(SUBJECTS.get(model));
  }
  for (const light of all("button.light")) light.setAttribute("aria-pressed", state.lit.has(light.textContent));
  for (const table of all("table")) table.arrange?.();
}

// ---- the evidence of a cell

function openEvidence() {
  const dialog = document.getElementById("evidence");
  if (!state.cell) { if (dialog.open) dialog.close(); return; }
  if (dialog.open && dialog.dataset.of === state.cell + state.figure) return;
  dialog.dataset.of = state.cell + state.figure;
  const { workload, cell, subject } = cellNamed(state.cell);
  const plots = { trials: make("div", { class: "plot" }), time: make("div", { class: "plot" }) };
  const figure = workload.figures[state.figure];
  const facts = {
    "What limited it": [cell.limit, ...cell.reasons].filter(Boolean).join("; ") || "no trial",
    "CPU of both sides": Object.entries(cell.cpu).map(([side, words]) => `${side} ${words}`).join(", ") || "no trial",
    "Where they ran": cell.placed,
    "Before comparing": cell.notes.join("; ") || "nothing",
    Errors: Object.entries(cell.errors).map(([kind, count]) => `${count.toLocaleString("en")} ${kind.replaceAll("_", " ")}`).join(", ") || "none: every answer was checked byte for byte",
  };
  dialog.replaceChildren(
    button("Close", () => dialog.close(), { class: "close" }),
    make("h2", { id: "evidence-title" }, `${subject.name} under ${workload.scenario}, ${workload.level}`),
    figuresTable(workload, cell),
    make("dl", {}, ...Object.entries(facts).flatMap(([name, words]) => [make("dt", {}, name), make("dd", {}, words)])),
    ...cell.failures.map((words) => make("pre", {}, words)),
    make("figure", {}, make("figcaption", {}, `${figure.title}: each trial, the figure and its interval`), plots.trials),
    make("figure", {}, make("figcaption", {}, "Throughput over the window of the median trial"), plots.time),
    ...(cell.command ? [make("p", {}, "To measure it again: ", make("code", {}, cell.command))] : []));
  if (!dialog.open) dialog.showModal();
  const rows = rowsOf(workload, state.figure).filter((row) => row.subject === subject.name);
  const shared = { signals: { title: axisTitle(figure), latency: figure.latency }, scales: ["y"] };
  draw(plots.trials, "trials", { ...shared, says: `Trials of ${subject.name}`, values: { cells: rows, trials: rows.flatMap((row) => trialsOf(row, figure, state.figure)) } });
  const through = timeRows(cell, "throughput", { unit: "requests/s" });
  draw(plots.time, "time", { says: `${subject.name} over time`, values: { known: through, points: through }, signals: { title: "requests/s", latency: false }, scales: ["y"] });
}

function figuresTable(workload, cell) {
  const rows = Object.entries(cell.figures).map(([name, [, , , words, range]]) => {
    const { title, unit, latency } = workload.figures[name];
    return make("tr", {}, make("th", { scope: "row" }, `${title}${unit && !latency ? `, ${unit}` : ""}`), make("td", {}, words), make("td", {}, range), make("td", {}, cell.ranks[name] ?? "\u2013"));
  });
  const heads = ["Figure", "Of this run", "Interval", "Rank"].map((words) => make("th", { scope: "col" }, words));
  return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Figures of the cell" },
    make("table", { class: "figures" }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows)));
}

// ---- the controls

function makeControls() {
  const form = document.getElementById("controls");
  for (const [id, { scenario, level }] of WORKLOADS) form.workload.append(make("option", { value: id }, `${scenario}: ${level}`));
  for (const name of AXES) form.axes.append(make("option", { value: name }, name));
  for (const name of DATA.figures) form.figure.append(make("option", { value: name }, name));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.workload.addEventListener("change", () => change({ workload: form.workload.value, nines: "", seconds: "" }));
  for (const name of ["figure", "axes"]) form[name].addEventListener("change", () => change({ [name]: form[name].value }));
  for (const each of all("[data-toggle]", form)) each.addEventListener("click", () => change({ [each.dataset.toggle]: !state[each.dataset.toggle] }));
  $("[data-act=everything]", form).addEventListener("click", () => { state = empty(); apply(); });
  for (const [family, models] of FAMILIES) {
    $("#families").append(button(family, () => {
      const anyShown = [...models].some((model) => !state.hide.has(model));
      const rest = [...state.hide].filter((model) => !models.has(model));
      change({ hide: new Set(anyShown ? [...rest, ...models] : rest) });
    }, { "data-family": family }));
  }
  for (const model of MODELS) $("#models").append(button(model, () => change({ hide: toggled(state.hide, model) }), { "data-of": model }));
  for (const name of INTERPRETERS) $("#interpreters").append(button(name || "the run's own", () => change({ without: toggled(state.without, name) }), { "data-interpreter": name }));
  $("#interpreters").hidden = INTERPRETERS.length < 2;
  for (const input of all("input[name=heat]")) {
    input.addEventListener("change", () => { if (DATA.figures.includes(labelOf(input))) change({ figure: labelOf(input) }); });
  }
}

const labelOf = (input) => input.labels[0]?.textContent.trim() ?? "";

function markControls() {
  const form = document.getElementById("controls");
  form.workload.value = state.workload;
  form.figure.value = state.figure;
  form.axes.value = state.axes;
  const press = (selector, pressed) => all(selector).forEach((each) => each.setAttribute("aria-pressed", pressed(each)));
  press("#controls [data-toggle]", (each) => state[each.dataset.toggle]);
  press("#families button", (each) => [...FAMILIES.get(each.dataset.family)].some((model) => !state.hide.has(model)));
  press("#models button", (each) => !state.hide.has(each.dataset.of));
  press("#interpreters button", (each) => !state.without.has(each.dataset.interpreter));
  for (const input of all("input[name=heat]")) if (labelOf(input) === state.figure) input.checked = true;
  const hidden = DATA.subjects.filter((subject) => !shown(subject)).length;
  $("#lacking").textContent = hidden ? `${hidden} of ${DATA.subjects.length} are hidden, here and in all tables; ranks are those among all.` : "";
  const bar = document.getElementById("lit");
  bar.hidden = !state.lit.size;
  bar.replaceChildren(...[...state.lit].map((subject) => make("span", {}, make("strong", {}, subject), " ",
    ...(cellNamed(cellKey(state.workload, subject)) ? [button(`evidence under ${WORKLOADS.get(state.workload).scenario}`, () => change({ cell: cellKey(state.workload, subject) })), " "] : []),
    button("\u00d7", () => toggleLit(subject), { "aria-label": `No longer mark ${subject}` }))),
    button("Mark none", () => change({ lit: new Set() })));
}

// ---- the whole

function apply() {
  writeFragment();
  markControls();
  markTables();
  drawViews();
  openEvidence();
}

function goTo() {
  if (anchor) document.getElementById(anchor)?.scrollIntoView();
}

function start() {
  const parts = document.getElementById("explore-template").content.cloneNode(true);
  const explore = $("#explore", parts);
  (document.getElementById("summary") ?? $("main")).after(explore);
  document.body.append(parts);
  $("nav ul")?.prepend(make("li", {}, make("a", { href: "#explore" }, "Explore")));
  for (const figure of all("figure", explore)) {
    $("figcaption", figure).append(make("span", { class: "says" }));
    if (figure.dataset.zoom) makeZoomable(figure);
    inSight.observe(figure);
  }
  all("table").forEach((table, place) => { if ($("thead", table)) sortable(table, place); });
  all("tr[data-model]").forEach(nameLights);
  all("td[data-workload]").forEach(cellOpens);
  all(".heat table").forEach(makeGrid);
  makeControls();
  document.getElementById("evidence").addEventListener("close", () => { if (state.cell) change({ cell: "" }); });
  addEventListener("hashchange", () => { readFragment(); apply(); goTo(); });
  readFragment();
  apply();
  goTo();
}

start();
})();
