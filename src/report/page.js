"use strict";
const view = JSON.parse(document.getElementById("data").textContent);
const { record, lanes, downloads, critical, picture } = view;
const units = record.units;
const index = new Map(units.map((unit, number) => [unit.unit, number]));
units.forEach((unit) => {
  unit.needs = unit.needs.filter((need) => index.has(need)).map((need) => index.get(need));
  const ends = [...unit.phases.slice(1).map((phase) => phase.from), unit.span?.to];
  unit.phases.forEach((phase, at) => { phase.to = ends[at]; });
});
const onPath = new Set(critical);
const byId = (id) => document.getElementById(id);

// Everything that is shown goes through here: text is never taken for markup.
function element(name, attributes = {}, ...children) {
  const svg = ["svg", "g", "rect", "text", "path", "title"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") made.addEventListener("click", value);
    else if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function time(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return whole < 3600
    ? `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`
    : `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
}

function size(bytes) {
  const names = ["B", "KiB", "MiB", "GiB"];
  let at = 0;
  while (bytes >= 1024 && at < names.length - 1) { bytes /= 1024; at += 1; }
  return `${at ? bytes.toFixed(bytes < 10 ? 2 : 1) : bytes} ${names[at]}`;
}

const states = {
  built: "built", cached: "from the store", cut_off: "cut off: needs came out the same",
  failed: "failed", blocked: "not built: a need failed", stopped: "stopped", idle: "not looked at: nothing needed it, or the run ended before",
};

// In the graph: no state is told by a colour alone.
const marks = { built: "+", cached: "=", cut_off: "≈", failed: "✗", blocked: "⊘", stopped: "■", idle: "·" };

// Details of one unit.
const needed = units.map(() => []);
units.forEach((unit, number) => unit.needs.forEach((need) => needed[need].push(number)));

function closure(start, next) {
  const seen = new Set([start]);
  const queue = [start];
  while (queue.length) {
    for (const other of next(queue.pop())) if (!seen.has(other)) { seen.add(other); queue.push(other); }
  }
  return seen;
}

function choose(number) {
  const unit = units[number];
  const below = closure(number, (at) => units[at].needs);
  const above = closure(number, (at) => needed[at]);
  document.querySelectorAll("#picture g").forEach((node) => {
    const at = Number(node.dataset.unit);
    node.classList.toggle("chosen", at === number);
    node.classList.toggle("dim", !below.has(at) && !above.has(at));
  });
  document.querySelectorAll("#picture path").forEach((path) => {
    const [from, to] = [Number(path.dataset.from), Number(path.dataset.to)];
    path.classList.toggle("lit", (below.has(from) && below.has(to)) || (above.has(from) && above.has(to)));
  });
  const spent = unit.phases.map((phase) => `${phase.name} ${time(phase.to - phase.from)}`);
  const links = (title, numbers) => numbers.length === 0 ? null : element("p", {}, `${title} `,
    ...numbers.flatMap((at, place) => [place ? ", " : "",
      element("a", { href: `#${units[at].unit}`, onclick: (event) => { event.preventDefault(); choose(at); } }, units[at].unit)]));
  const panel = byId("details");
  const head = element("h3", { tabindex: -1 }, `${unit.unit} ${unit.version}`);
  if (panel.hidden) opener = document.activeElement;
  panel.replaceChildren(...[
    element("button", { type: "button", class: "close", "aria-label": "Close", onclick: unchoose }, "×"),
    head,
    element("p", {}, states[unit.state]
      + (unit.blocked_by ? `, ${unit.blocked_by}` : "")
      + (unit.span ? `, ${time(unit.span.to - unit.span.from)} on the clock` : "")
      + (unit.cpu_seconds === null ? "" : `, ${time(unit.cpu_seconds)} of processors`)),
    spent.length ? element("p", {}, spent.join(", ")) : null,
    unit.files === null ? null : element("p", {}, `${unit.files} files, ${size(unit.bytes)}`),
    links("Needs", unit.needs),
    links("Needed by", needed[number]),
  ].filter((part) => part !== null));
  panel.hidden = false;
  const [frame, scroller] = [picture.boxes[number], byId("picture").parentElement];
  scroller.scrollTo(frame.x - (scroller.clientWidth - frame.width) / 2, frame.y - (scroller.clientHeight - frame.height) / 2);
  head.focus();
}

let opener = null;
function unchoose() {
  if (byId("details").hidden) return;
  byId("details").hidden = true;
  opener?.focus();
  document.querySelectorAll("#picture .dim, #picture .chosen, #picture .lit").forEach((node) => {
    node.classList.remove("dim", "chosen", "lit");
  });
}
document.addEventListener("keydown", (event) => { if (event.key === "Escape") unchoose(); });

// The head.
document.title = `k3sroot ${record.id}`;
byId("id").textContent = record.id;
byId("words").textContent = record.words.join(" ");
const count = (state) => units.filter((unit) => unit.state === state).length;
const sum = (list, of) => list.reduce((total, one) => total + of(one), 0);
const cpu = sum(units.filter((unit) => unit.state === "built"), (unit) => unit.cpu_seconds);
for (const [name, value] of [
  ["took", time(record.seconds)],
  ["built", count("built")],
  ["from the store", count("cached")],
  ["cut off", count("cut_off")],
  ["not looked at", count("idle")],
  ["failed", count("failed")],
  ["blocked", count("blocked")],
  ["processor time", time(cpu)],
  ["saved", time(record.saved)],
  ["busy", `${Math.round((100 * cpu) / Math.max(record.seconds * record.jobs, 0.001))} % of ${record.jobs}`],
  ["downloaded", size(sum(record.downloads, (one) => one.bytes))],
  ["k3sroot", record.k3sroot],
]) byId("summary").append(element("div", {}, element("dt", {}, name), element("dd", {}, String(value))));

const theme = byId("theme");
theme.addEventListener("click", () => {
  const dark = theme.getAttribute("aria-pressed") !== "true";
  theme.setAttribute("aria-pressed", String(dark));
  document.documentElement.dataset.theme = dark ? "dark" : "light";
});
if (matchMedia("(prefers-color-scheme: dark)").matches) theme.setAttribute("aria-pressed", "true");

// The timeline.
const names = [...new Set(units.flatMap((unit) => unit.phases.map((phase) => phase.name)))];
const colour = (name) => `hsl(${(names.indexOf(name) * 67 + 200) % 360} 70% 50% / .35)`;
const percent = (seconds) => `${(100 * seconds) / Math.max(record.seconds, 0.001)}%`;
const zoom = byId("zoom");
const extent = ({ from, to }) => `left:${percent(from)};width:${percent(to - from)}`;
function work(number) {
  const { unit, span, phases, state } = units[number];
  const length = Math.max(span.to - span.from, 0.001);
  const parts = phases.map((phase) => {
    const style = `left:${(100 * (phase.from - span.from)) / length}%;width:${(100 * (phase.to - phase.from)) / length}%;background:${colour(phase.name)}`;
    return element("i", { style });
  });
  const label = `${unit}: ${states[state]}, ${time(length)}${onPath.has(unit) ? ", on the critical path" : ""}`;
  return element("button", {
    type: "button", class: `bar ${state}${onPath.has(unit) ? " critical" : ""}`, title: label, "aria-label": label,
    style: extent(span), onclick: () => choose(number),
  }, ...parts, element("b", {}, unit));
}
function download(number) {
  const { label, span, bytes } = record.downloads[number];
  const length = Math.max(span.to - span.from, 0.001);
  const said = `${label}: ${size(bytes)} in ${time(length)}, ${size(Math.round(bytes / length))}/s`;
  return element("div", { class: "bar download", title: said, style: extent(span) }, element("b", {}, said));
}
function ticks(box) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200];
  const fit = Math.max(2, Math.floor((box.parentElement.clientWidth * zoom.value) / 90));
  const step = steps.find((one) => record.seconds / one <= fit) ?? 14400;
  box.querySelectorAll(".tick").forEach((tick) => tick.remove());
  for (let at = 0; at < record.seconds; at += step) {
    box.append(element("span", { class: "tick", style: `left:${percent(at)}` }, time(at).replace(/\.0| 00 s$/, "")));
  }
}
const boxes = [[byId("lanes"), lanes, work], [byId("downloads"), downloads, download]];
for (const [box, rows, bar] of boxes) {
  box.append(...rows.map((row) => element("div", { class: "lane" }, ...row.map(bar))));
  ticks(box);
}
byId("downloads-title").hidden = byId("downloads").parentElement.hidden = downloads.length === 0;
if (lanes.length === 0) byId("lanes").append(element("p", { class: "hint" }, "Nothing had to be built."));
byId("phases").append(...names.map((name) => element("span", {}, element("i", { style: `background:${colour(name)}` }), name)));
zoom.addEventListener("input", () => {
  for (const [box] of boxes) {
    box.style.width = `${100 * zoom.value}%`;
    ticks(box);
  }
});

// The graph.
function draw() {
  const svg = byId("picture");
  svg.setAttribute("viewBox", `0 0 ${picture.width} ${picture.height}`);
  svg.setAttribute("width", picture.width);
  svg.setAttribute("height", picture.height);
  for (const { from, to, course } of picture.lines) {
    svg.append(element("path", { "data-from": from, "data-to": to, d: course }));
  }
  units.forEach((unit, number) => {
    const frame = picture.boxes[number];
    const node = element("g", {
      class: unit.state, tabindex: 0, role: "button", "data-unit": number,
      "aria-label": `${unit.unit}, ${states[unit.state]}`, onclick: () => choose(number),
    }, element("rect", { ...frame, rx: 5 }), element("text", { x: frame.x + 8, y: frame.y + 16 }, `${marks[unit.state]} ${unit.unit}`));
    node.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(number); }
    });
    svg.append(node);
  });
}
draw();
byId("states").append(...Object.keys(states).filter((state) => count(state) > 0)
  .map((state) => element("span", {}, `${marks[state]} ${states[state].split(":")[0]}`)));
let hits = [];
byId("find").addEventListener("input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  hits = [...document.querySelectorAll("#picture g")].filter((node) => {
    const hit = wanted !== "" && units[Number(node.dataset.unit)].unit.includes(wanted);
    node.classList.toggle("match", hit);
    return hit;
  });
  byId("found").textContent = wanted === "" ? "" : `${hits.length} found`;
  if (hits.length) hits[0].scrollIntoView({ block: "nearest", inline: "center" });
});
// Each Enter leads to the next unit that was found, from where another one shows its details.
byId("find").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || hits.length === 0) return;
  event.preventDefault();
  hits[0].focus();
  hits[0].scrollIntoView({ block: "nearest", inline: "center" });
  hits.push(hits.shift());
});

// The table of units.
const columns = [
  ["Unit", (unit) => unit.unit, (unit) => unit.unit],
  ["Version", (unit) => unit.version, (unit) => unit.version],
  ["State", (unit) => unit.state, (unit) => states[unit.state].split(":")[0]],
  ["Clock", (unit) => (unit.span ? unit.span.to - unit.span.from : -1), (unit) => (unit.span ? time(unit.span.to - unit.span.from) : "")],
  ["Processors", (unit) => unit.cpu_seconds ?? -1, (unit) => (unit.cpu_seconds === null ? "" : time(unit.cpu_seconds))],
  ["Files", (unit) => unit.files ?? -1, (unit) => unit.files ?? ""],
  ["Size", (unit) => unit.bytes ?? -1, (unit) => (unit.bytes === null ? "" : size(unit.bytes))],
];
function table(sorted, down) {
  const [, key] = columns[sorted];
  const order = units.map((_, number) => number).sort((a, b) => {
    const [one, other] = [key(units[a]), key(units[b])];
    return (one < other ? -1 : one > other ? 1 : a - b) * (down ? -1 : 1);
  });
  const heads = columns.map(([name], at) => element("th", {
    scope: "col", class: at > 2 ? "number" : null, "aria-sort": at === sorted ? (down ? "descending" : "ascending") : null,
  }, element("button", { type: "button", onclick: () => { table(at, at === sorted ? !down : at > 2); byId("table").querySelectorAll("th button")[at].focus(); } },
    name + (at === sorted ? (down ? " ↓" : " ↑") : ""))));
  const rows = order.map((number) => element("tr", {}, ...columns.map(([, , show], at) => element("td", { class: at > 2 ? "number" : null },
    at === 0 ? element("button", { type: "button", onclick: () => choose(number) }, show(units[number])) : String(show(units[number]))))));
  byId("table").replaceChildren(element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
}
table(4, true);

// Failures.
const failed = units.filter((unit) => unit.failure);
for (const unit of failed) {
  byId("failures").append(element("h3", {}, unit.unit), element("pre", { tabindex: 0 }, unit.failure.text));
  if (unit.failure.log) {
    byId("failures").append(element("details", {}, element("summary", {}, "The end of its log"), element("pre", { tabindex: 0 }, unit.failure.log)));
  }
}
if (record.error) byId("failures").append(element("pre", { tabindex: 0 }, record.error));
if (failed.length === 0 && !record.error) byId("failures").append(element("p", { class: "hint" }, "None."));

// Tarballs: a squarified treemap by package and file, and the list of members.
function squarify(items, x, y, width, height, put) {
  let rest = items.filter((item) => item.value > 0).sort((a, b) => b.value - a.value);
  let total = sum(rest, (item) => item.value);
  while (rest.length) {
    const upright = width >= height;
    const side = upright ? height : width;
    const scale = (width * height) / total;
    let row = [], best = Infinity;
    for (const item of rest) {
      const area = (sum(row, (one) => one.value) + item.value) * scale;
      const thick = area / side;
      const worst = Math.max(...[...row, item].map((one) => {
        const long = (one.value * scale) / thick;
        return Math.max(thick / long, long / thick);
      }));
      if (worst > best) break;
      best = worst;
      row.push(item);
    }
    const weight = sum(row, (item) => item.value);
    const thick = (weight * scale) / side;
    let at = 0;
    for (const item of row) {
      const long = (item.value * scale) / thick;
      if (upright) put(item, x, y + at, thick, long);
      else put(item, x + at, y, long, thick);
      at += long;
    }
    if (upright) { x += thick; width -= thick; } else { y += thick; height -= thick; }
    rest = rest.slice(row.length);
    total -= weight;
  }
}

for (const tarball of record.tarballs) {
  const packages = new Map();
  for (const member of tarball.members.filter((one) => one.bytes > 0)) {
    const name = member.package ?? "";
    if (!packages.has(name)) packages.set(name, []);
    packages.get(name).push({ value: member.bytes, member });
  }
  const groups = [...packages].map(([name, files]) => ({ name, files, value: sum(files, (file) => file.value) }));
  const map = element("div", { class: "map", role: "group", "aria-label": `Sizes in ${tarball.file}` });
  const said = element("output", {}, "Choose a file to see its size.");
  const largest = [...groups].sort((a, b) => b.value - a.value).map((group) => group.name);
  const shade = (name) => `hsl(${(largest.indexOf(name) * 47 + 210) % 360} 55% 50% / .35)`;
  squarify(groups, 0, 0, 100, 100, (group, x, y, width, height) => {
    squarify(group.files, x, y, width, height, (file, fx, fy, fw, fh) => {
      const label = `${group.name}: ${file.member.name}, ${size(file.value)}`;
      map.append(element("button", {
        type: "button", class: "cell", title: label, "aria-label": label, onclick: () => { said.textContent = label; },
        style: `left:${fx}%;top:${fy}%;width:${fw}%;height:${fh}%;background:${shade(group.name)}`,
      }, `${file.member.name.split("/").pop()} ${size(file.value)}`));
    });
  });
  const rows = tarball.members.map((member) => element("tr", {},
    element("td", {}, member.name), element("td", { class: "number" }, member.bytes ? size(member.bytes) : ""),
    element("td", {}, member.link ? `→ ${member.link}` : ""), element("td", {}, member.package ?? "")));
  byId("tarballs").append(
    element("h3", {}, tarball.file),
    element("p", { class: "hint" }, `${size(tarball.bytes)}, ${tarball.members.length} members, sha256 `, element("code", {}, tarball.sha256)),
    map, element("p", { class: "hint" }, said),
    element("p", { class: "legend" }, ...largest.map((name) => element("span", {}, element("i", { style: `background:${shade(name)}` }),
      `${name} ${size(groups.find((group) => group.name === name).value)}`))),
    element("details", {}, element("summary", {}, "All members"), element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Members of ${tarball.file}` },
      element("table", {}, element("thead", {}, element("tr", {}, ...["Name", "Size", "Link", "Package"].map((name) => element("th", { scope: "col" }, name)))), element("tbody", {}, ...rows)))));
}
if (record.tarballs.length === 0) byId("tarballs").append(element("p", { class: "hint" }, "None was written."));
