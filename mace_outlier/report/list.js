// The list of suspects: sorted by a click on the head of a column, filtered by words and by what is chosen.

// A number as it is shown: "-1,234.5", "1.2e+05", "∞"; NaN where there is none.
function numberOf(shown) {
  const plain = shown.replaceAll(",", "").replace("∞", "Infinity");
  return plain === "" ? NaN : Number(plain);
}

// Rows in a new order: numbers as numbers, text as people sort it, and what has no value last.
function sorted(rows, column, isNumber, falling) {
  const collator = new Intl.Collator(undefined, { numeric: true });
  const entries = rows.map((row) => {
    const shown = row.cells[column].textContent;
    return { row, value: isNumber ? numberOf(shown) : shown };
  });
  const isEmpty = ({ value }) => (isNumber ? Number.isNaN(value) : value === "" || value === "–");
  const compare = (a, b) => (isNumber ? (a < b ? -1 : a > b ? 1 : 0) : collator.compare(a, b));
  entries.sort((a, b) => isEmpty(a) - isEmpty(b) || (isEmpty(a) ? 0 : (falling ? -1 : 1) * compare(a.value, b.value)));
  return entries.map(({ row }) => row);
}

class List {
  constructor(table) {
    this.table = table;
    this.rows = [...table.tBodies[0].rows];
    this.byRank = new Map(this.rows.map((row) => [Number(row.dataset.rank), row]));
    this.texts = new Map(this.rows.map((row) => [row, [...row.querySelectorAll(".name, .file")].map((cell) => cell.textContent).join(" ").toLowerCase()]));
    this.heads = [...table.tHead.rows[0].cells];
    this.choices = [];
    this.onFilter = () => {};
    this.heads.forEach((head, column) => this.makeSortable(head, column));
    this.addControls();
    this.filter();
  }

  makeSortable(head, column) {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      this.heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const inOrder = [...this.byRank.values()]; // what is equal stays in the order of the ranks
      this.table.tBodies[0].append(...sorted(inOrder, column, head.classList.contains("n"), falling));
    });
  }

  addControls() {
    const controls = document.createElement("div");
    controls.className = "controls";
    this.words = document.createElement("input");
    this.words.type = "search";
    this.words.placeholder = "filter: file, config_type, formula, cause";
    this.words.setAttribute("aria-label", "Filter the suspects");
    this.words.addEventListener("input", () => this.filter());
    this.counted = document.createElement("output");
    const choices = this.heads.map((head, column) => ("choice" in head.dataset ? this.choiceOf(head, column) : null));
    controls.append(this.words, ...choices.filter(Boolean), this.counted);
    this.table.parentElement.before(controls);
  }

  // A select of what a column holds; null where that is the same in all rows.
  choiceOf(head, column) {
    const values = new Set(this.rows.map((row) => row.cells[column].textContent));
    if (values.size < 2) return null;
    const select = document.createElement("select");
    const title = head.textContent;
    select.setAttribute("aria-label", title);
    select.add(new Option(`${title}: all`, ""));
    [...values].sort().forEach((value, i) => select.add(new Option(value, String(i + 1))));
    select.addEventListener("change", () => this.filter());
    this.choices.push({ select, column });
    return select;
  }

  filter() {
    const words = this.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = this.choices.filter(({ select }) => select.value);
    const isShown = (row) =>
      words.every((word) => this.texts.get(row).includes(word)) &&
      chosen.every(({ select, column }) => row.cells[column].textContent === select.selectedOptions[0].textContent);
    this.rows.forEach((row) => { row.hidden = !isShown(row); });
    const shown = this.rows.filter((row) => !row.hidden);
    this.counted.textContent = `${shown.length.toLocaleString("en")} of ${this.rows.length.toLocaleString("en")}`;
    this.onFilter(words.length + chosen.length ? shown.map((row) => Number(row.dataset.rank)) : []);
  }

  // Bring a row into view, whatever is filtered.
  reveal(rank) {
    const row = this.byRank.get(rank);
    if (row.hidden) {
      this.words.value = "";
      this.choices.forEach(({ select }) => { select.value = ""; });
      this.filter();
    }
    this.table.querySelectorAll(".chosen").forEach((other) => other.classList.remove("chosen"));
    row.classList.add("chosen");
    row.scrollIntoView({ block: "nearest" }); // with the map, if both can be seen
  }
}
