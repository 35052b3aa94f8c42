// What a user does on the page of a report, and what is seen then: for test_report_browser.py.

const seen = {};
const rows = () => [...document.querySelectorAll("#list tbody tr")].filter((row) => !row.hidden);
const columnOf = (title) => [...document.querySelectorAll("#list th")].findIndex((head) => head.textContent.startsWith(title));
const shown = (title) => rows().map((row) => row.cells[columnOf(title)].textContent);
const click = (title) => document.querySelectorAll("#list th button")[columnOf(title)].click();
for (const title of ["frame", "energy", "config_type"]) {
  click(title); seen[`${title} rising`] = shown(title);
  click(title); seen[`${title} falling`] = shown(title);
}
click("#");
const [words, counted] = [document.querySelector(".controls input"), document.querySelector("output")];
const write = (text) => { words.value = text; words.dispatchEvent(new Event("input")); };
const choose = (name, title) => {
  const select = document.querySelector(`select[aria-label="${name}"]`);
  select.value = [...select.options].find((option) => option.text === title)?.value ?? "";
  select.dispatchEvent(new Event("change"));
};
write("SLAB noise"); seen.words = [counted.textContent, shown("config_type"), shown("cause")];
seen.left = document.querySelectorAll(".left").length;
write(""); choose("cause", "forces all zero"); seen.cause = [counted.textContent, shown("cause")];
choose("cause", ""); choose("split", "valid"); seen.split = [counted.textContent, shown("split")];
choose("split", ""); seen.all = [counted.textContent, document.querySelectorAll(".left").length];

const plot = document.querySelector(".plot"), data = JSON.parse(document.getElementById("data").textContent);
const pointer = (kind, point) => {
  const box = plot.getBoundingClientRect();
  const place = { clientX: box.left + point[0] * box.width, clientY: box.top + point[1] * box.height, bubbles: true };
  plot.dispatchEvent(new PointerEvent(kind, place));
};
const ring = () => { const found = document.querySelector(".ring"); return found && [parseFloat(found.getAttribute("cx")), parseFloat(found.getAttribute("cy"))]; };
const suspect = data.points.find((point) => point[2] === 3), other = data.points.find((point) => !point[2]);
pointer("pointermove", suspect);
seen.point = [document.querySelector(".tip").textContent, suspect[3], ring(), [100 * suspect[0], 100 * suspect[1]]];
seen.lit = [...document.querySelectorAll(".lit")].map((row) => row.dataset.rank);
pointer("pointermove", [0, 0]); seen.nowhere = [document.querySelector(".tip").hidden, ring()];
write("nothing has this"); pointer("click", suspect);
seen.chosen = [...document.querySelectorAll(".chosen")].map((row) => [row.dataset.rank, row.hidden]);
pointer("click", other); seen.others = document.querySelectorAll(".chosen").length;
rows()[4].dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
const fifth = data.points.find((point) => point[2] === 5);
seen.row = [ring(), [100 * fifth[0], 100 * fifth[1]]];

document.querySelector("#suspect-1 .turn").click();
const canvas = document.querySelector("dialog canvas");
const ink = () => { const { width, height } = canvas; return canvas.getContext("2d").getImageData(0, 0, width, height).data; };
const before = ink(), painted = before.filter((value, i) => i % 4 === 3 && value).length;
const orange = () => { const all = ink(); let count = 0; for (let i = 0; i < all.length; i += 4) count += all[i] === 213 && all[i + 1] === 94 && all[i + 2] === 0; return count; };
seen.arrows = orange();
canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
seen.turned = [painted, ink().some((value, i) => value !== before[i])];
canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
seen.back = ink().filter((value, i) => Math.abs(value - before[i]) > 60).length;
seen.title = document.querySelector("dialog b").textContent;
document.querySelector("dialog .close").click(); seen.closed = !document.querySelector("dialog").open;
const told = document.createElement("pre"); told.id = "told"; told.textContent = JSON.stringify(seen); document.body.append(told);
