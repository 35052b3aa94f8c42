// The drawings of the cards open a structure that can be turned.

const HINT = "Drag or arrow keys: turn. Wheel, + or -: zoom. Arrows: prediction minus label of the forces.";

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

class StructureDialog {
  constructor(elements) {
    this.elements = elements;
    this.dialog = element("dialog", "structure");
    this.title = element("b", "");
    const close = element("button", "close", "close");
    close.addEventListener("click", () => this.dialog.close());
    const header = element("header", "");
    header.append(this.title, close);
    this.canvas = element("canvas", "");
    this.canvas.tabIndex = 0;
    this.said = element("p", "soft", HINT);
    this.dialog.append(header, this.canvas, this.said);
    document.body.append(this.dialog);
    this.viewer = new Viewer(this.canvas);
    this.canvas.addEventListener("pointermove", (event) => this.say(event));
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close(); // beside it
    });
  }

  open(title, structure) {
    this.structure = structure;
    this.title.textContent = title;
    this.said.textContent = HINT;
    this.dialog.showModal();
    this.canvas.focus();
    this.viewer.show(structure, this.elements);
  }

  say(event) {
    const atom = event.buttons ? -1 : this.viewer.atomAt(event);
    if (atom < 0) {
      this.said.textContent = HINT;
      return;
    }
    const { numbers, errors } = this.structure;
    const error = errors ? `, force error ${(1000 * length(errors[atom])).toLocaleString("en", { maximumFractionDigits: 1 })} meV/Å` : "";
    this.said.textContent = `Atom ${atom} (${this.elements[numbers[atom]][0]})${error}`;
  }
}

function makeTurnable({ by_rank: structures, elements }) {
  let dialog = null;
  for (const [rank, structure] of Object.entries(structures)) {
    const card = document.getElementById(`suspect-${rank}`);
    const picture = card?.querySelector("img");
    if (!picture) continue;
    const button = element("button", "turn");
    picture.replaceWith(button);
    button.append(picture);
    button.title = "Turn this structure";
    button.addEventListener("click", () => {
      dialog ??= new StructureDialog(elements);
      dialog.open(`${rank}: ${card.querySelector(".formula").textContent}, ${card.querySelector(".file").textContent}`, structure);
    });
  }
}
