// Uses the page as a person would, with mouse and keyboard, and writes down what came of it. The test appends this to
// the page and reads `#exam`.
"use strict";
{
  const lines = [];
  const check = (what, fine, seen) => lines.push(fine ? `ok ${what}` : `WRONG ${what}: ${JSON.stringify(seen)}`);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const at = (selector) => document.querySelector(selector);
  const press = (target, key) => target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const named = (package_) => units.findIndex((unit) => unit.unit.startsWith(`${package_}@`));

  check("nothing is fetched", performance.getEntriesByType("resource").length === 0, performance.getEntriesByType("resource"));
  check("nothing sticks out at the side", document.documentElement.scrollWidth <= innerWidth, [document.documentElement.scrollWidth, innerWidth]);

  const ran = units.filter((unit) => unit.span);
  check("the timeline has every unit that ran", all("#lanes .bar").length === ran.length && ran.length > 2, all("#lanes .bar").length);
  const path = all("#lanes .bar.critical").map((bar) => bar.querySelector("b").textContent);
  check("the critical path ends with what ended last", path.includes(ran.reduce((a, b) => (a.span.to > b.span.to ? a : b)).unit), path);
  const overlap = all("#lanes .lane").some((lane) => {
    const bars = [...lane.querySelectorAll(".bar")].map((bar) => bar.getBoundingClientRect()).sort((a, b) => a.left - b.left);
    return bars.some((bar, number) => number > 0 && bar.left < bars[number - 1].right - 1);
  });
  check("no two units of a row are at work at once", !overlap);
  // Where the second tick is, in percent: there may be one only.
  const step = () => parseFloat(all("#lanes .tick")[1]?.style.left ?? "100");
  const coarse = step();
  at("#zoom").value = 4;
  at("#zoom").dispatchEvent(new Event("input"));
  const finest = all("#lanes .tick").some((tick) => tick.textContent === "0.1 s");
  // Twice as fine at least; a style's numbers are rounded.
  check("and its ticks finer", 1.99 * step() < coarse || finest, [coarse, step()]);
  // Against the part that is seen of it, which itself is narrower once the page has a scroll bar.
  const zoomed = [at("#lanes").getBoundingClientRect().width, at("#lanes").parentElement.clientWidth];
  check("zoom makes the timeline wider", Math.abs(zoomed[0] / zoomed[1] - 4) < 0.1, zoomed);

  check("what was downloaded is below it, with its size and rate", record.downloads.length === 1 && all("#downloads .bar").length === 1
    && all("#downloads .bar").every((bar) => / in .* s, .*\/s$/.test(bar.title)), all("#downloads .bar").map((bar) => bar.title));

  const node = (package_) => at(`#picture g[data-unit="${named(package_)}"]`);
  check("the graph has every unit", all("#picture g").length === units.length, all("#picture g").length);
  check("and a mark for each one's state, explained", node("hello").textContent[0] === marks[units[named("hello")].state]
    && at("#states").textContent.includes(states[units[named("hello")].state].split(":")[0]), at("#states").textContent);
  node("hello").dispatchEvent(new MouseEvent("click", { bubbles: true }));
  check("a click shows a unit", !at("#details").hidden && at("#details h3").textContent.startsWith("hello@"), at("#details").textContent);
  check("and lights the way to its needs", all("#picture path.lit").length > 0);
  check("and takes the focus there", at("#details").contains(document.activeElement), document.activeElement.outerHTML);
  [...at("#details").querySelectorAll("a")].find((link) => link.textContent.startsWith("libword@")).click();
  check("its needs are links", at("#details h3").textContent.startsWith("libword@"), at("#details h3").textContent);
  press(document.body, "Escape");
  check("Escape closes it", at("#details").hidden);
  node("codegen").focus();
  press(node("codegen"), "Enter");
  check("Enter shows a unit", at("#details h3").textContent.startsWith("codegen@"), at("#details h3").textContent);
  at("#details .close").click();
  at("#find").value = "word";
  at("#find").dispatchEvent(new Event("input"));
  check("search finds by a part of the name", at("#found").textContent === "1 found" && node("libword").classList.contains("match"), at("#found").textContent);

  press(at("#find"), "Enter");
  check("and Enter leads there", document.activeElement === node("libword"), document.activeElement.outerHTML);

  const first = () => at("#table tbody tr").textContent;
  at("#table th button").click();
  const up = first();
  at("#table th button").click();
  check("the table is sorted by a column, up and down", up.startsWith("box@") && first().startsWith("libword@"), [up, first()]);

  check("a failure is shown with its log", at("#failures pre").textContent.startsWith("error: greet") && at("#failures details pre").textContent.includes("no such luck"), at("#failures").textContent);
  const reach = "a[href], button, input, summary, [tabindex]";
  const mute = all(reach).filter((one) => one.tabIndex >= 0 && !(one.ariaLabel || one.textContent.trim() || one.labels?.length));
  check("whatever the keyboard reaches has a name", mute.length === 0, mute.map((one) => one.outerHTML));
  const dark = getComputedStyle(document.body).backgroundColor;
  at("#theme").click();
  check("dark and light are two colours", getComputedStyle(document.body).backgroundColor !== dark, dark);

  const exam = document.createElement("pre");
  exam.id = "exam";
  exam.textContent = lines.join("\n");
  document.body.append(exam);
  parent.postMessage(exam.textContent, "*");
}
