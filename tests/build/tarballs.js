// Looks at the tarballs of a page. The test appends this to the page and reads `#exam`.
"use strict";
{
  const lines = [];
  const check = (what, fine, seen) => lines.push(fine ? `ok ${what}` : `WRONG ${what}: ${JSON.stringify(seen)}`);
  const all = (selector, place = document) => [...place.querySelectorAll(selector)];

  check("nothing sticks out at the side", document.documentElement.scrollWidth <= innerWidth, [document.documentElement.scrollWidth, innerWidth]);
  const tarballs = record.tarballs;
  check("every tarball has its title", all("#tarballs h3").map((head) => head.textContent).join() === tarballs.map((one) => one.file).join() && tarballs.length === 2);
  const cells = all("#tarballs .map").map((map) => all(".cell", map).length);
  const files = tarballs.map((one) => one.members.filter((member) => member.bytes > 0).length);
  check("every file has a cell", cells.join() === files.join() && files[0] > 2, [cells, files]);

  const map = document.querySelector("#tarballs .map");
  const area = (one) => one.getBoundingClientRect().width * one.getBoundingClientRect().height;
  const share = (cell) => area(cell) / all(".cell", map).reduce((sum, one) => sum + area(one), 0);
  const total = tarballs[0].members.reduce((sum, member) => sum + member.bytes, 0);
  const wrong = all(".cell", map).filter((cell) => {
    const member = tarballs[0].members.find((one) => cell.title.includes(`: ${one.name}, `));
    // A border is as wide as the smallest cells.
    return member.bytes / total > 0.05 && Math.abs(share(cell) - member.bytes / total) > 0.05;
  });
  check("as large as the file is", wrong.length === 0, wrong.map((cell) => [cell.title, share(cell)]));
  map.querySelector(".cell").click();
  check("a click says what it is", document.querySelector("#tarballs output").textContent === map.querySelector(".cell").title);
  const rows = all("#tarballs details").map((list) => all("tbody tr", list).length);
  check("all members are listed", rows.join() === tarballs.map((one) => one.members.length).join(), rows);

  const exam = document.createElement("pre");
  exam.id = "exam";
  exam.textContent = lines.join("\n");
  document.body.append(exam);
  parent.postMessage(exam.textContent, "*");
}
