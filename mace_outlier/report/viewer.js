// Draws a structure on a canvas, from back to front; drag to turn it, wheel to zoom.

class Viewer {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons) this.turn(event.movementX / 120, event.movementY / 120);
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY / 600));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.press(event));
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  show(structure, elements) {
    this.model = new Model(structure, elements);
    this.view = structure.view;
    this.zoom = 1;
    this.draw();
  }

  turn(x, y) {
    const [c, s, d, t] = [Math.cos(x), Math.sin(x), Math.cos(y), Math.sin(y)];
    const step = [[c, s * t, -s * d], [0, d, t], [s, -c * t, c * d]]; // about the upright axis, then the level one
    this.view = this.view.map((row) => turned(row, step));
    this.draw();
  }

  zoomBy(factor) {
    this.zoom = Math.min(20, Math.max(0.3, this.zoom * factor));
    this.draw();
  }

  press(event) {
    const steps = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
    if (event.key in steps) this.turn(...steps[event.key]);
    else if (event.key === "+" || event.key === "-") this.zoomBy(event.key === "+" ? 1.2 : 1 / 1.2);
    else return;
    event.preventDefault();
  }

  // The foremost atom under the pointer; -1: none.
  atomAt({ offsetX, offsetY }) {
    const dots = window.devicePixelRatio || 1;
    let [found, front] = [-1, -Infinity];
    this.model.atoms.forEach((atom, i) => {
      const at = turned(atom, this.view);
      const [x, y] = this.pixel(at);
      const isUnder = Math.hypot(x - dots * offsetX, y - dots * offsetY) < this.model.radii[i] * this.scale;
      if (isUnder && at[2] > front) [found, front] = [i, at[2]];
    });
    return found;
  }

  // Everything by its depth, the farthest first.
  draw() {
    const { model, canvas, pen } = this;
    if (!model || !canvas.clientWidth) return;
    const dots = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = [canvas.clientWidth * dots, canvas.clientHeight * dots];
    this.scale = (this.zoom * Math.min(canvas.width, canvas.height)) / model.size;
    const place = (p) => turned(p, this.view);
    const balls = model.atoms.map((p, i) => ({ at: place(p), draw: (at) => this.ball(at, model.radii[i], model.colours[i]) }));
    const sticks = model.lines.map((line) => this.between(place(line.from), place(line.to), (a, b) => this.line(a, b, line.colour, line.width)));
    const arrows = model.arrows.map(({ from, to }) => this.between(place(from), place(to), (a, b) => this.arrow(a, b)));
    pen.lineCap = "round";
    for (const part of [...balls, ...sticks, ...arrows].sort((a, b) => a.at[2] - b.at[2])) part.draw(part.at);
  }

  between(from, to, draw) {
    return { at: plus(from, to).map((x) => x / 2), draw: () => draw(this.pixel(from), this.pixel(to)) };
  }

  pixel([x, y]) {
    return [this.canvas.width / 2 + this.scale * x, this.canvas.height / 2 - this.scale * y];
  }

  ball(at, radius, colour) {
    const { pen } = this;
    const [x, y] = this.pixel(at);
    const r = radius * this.scale;
    const light = pen.createRadialGradient(x - 0.35 * r, y - 0.4 * r, 0.1 * r, x, y, r);
    light.addColorStop(0, shaded(colour, 4));
    light.addColorStop(0.55, colour);
    light.addColorStop(1, shaded(colour, 0.55));
    pen.fillStyle = light;
    pen.beginPath();
    pen.arc(x, y, r, 0, 2 * Math.PI);
    pen.fill();
  }

  line(from, to, colour, width) {
    const { pen } = this;
    pen.strokeStyle = colour;
    pen.lineWidth = Math.max(1.2, width * this.scale);
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(...to);
    pen.stroke();
  }

  arrow(from, to) {
    const colour = "#d55e00";
    const width = Math.max(1.5, Math.min(0.011 * Math.min(this.canvas.width, this.canvas.height), 0.14 * this.scale));
    const [x, y] = [to[0] - from[0], to[1] - from[1]];
    const long = Math.hypot(x, y) || 1;
    const [u, v] = [x / long, y / long];
    const head = Math.min(3 * width, long);
    const neck = [to[0] - head * u, to[1] - head * v];
    this.line(from, neck, colour, width / this.scale);
    this.pen.fillStyle = colour;
    this.pen.beginPath();
    this.pen.moveTo(...to);
    this.pen.lineTo(neck[0] - 0.6 * head * v, neck[1] + 0.6 * head * u);
    this.pen.lineTo(neck[0] + 0.6 * head * v, neck[1] - 0.6 * head * u);
    this.pen.fill();
  }
}
