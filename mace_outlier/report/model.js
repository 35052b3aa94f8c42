// What is drawn of a structure: atoms, bonds, cell, and arrows of the force errors, around the middle of it all.

const BALL = 0.55; // of the covalent radius
const BOND = 1.2; // of the sum of two radii: the longest bond
const ARROW = 0.22; // of the size of the structure: the longest arrow
const SHORTEST = 0.08; // of the longest; shorter arrows are left out
const EDGES = [[0, 1], [0, 2], [0, 4], [1, 3], [1, 5], [2, 3], [2, 6], [3, 7], [4, 5], [4, 6], [5, 7], [6, 7]]; // of a cell

// p @ m, m (3, 3) in rows
const turned = (p, m) => [0, 1, 2].map((k) => p[0] * m[0][k] + p[1] * m[1][k] + p[2] * m[2][k]);
const plus = (a, b, scale = 1) => [0, 1, 2].map((k) => a[k] + scale * b[k]);
const length = (a) => Math.hypot(...a);

// a lighter or darker colour
function shaded(hex, factor) {
  const parts = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const changed = parts.map((part) => Math.round(factor > 1 ? 255 - (255 - part) / factor : part * factor));
  return `rgb(${changed.join(",")})`;
}

// Pairs of atoms that are near enough for a bond.
function bondsOf({ positions }, radii) {
  const bonds = [];
  for (let i = 0; i < positions.length; i++) {
    for (let j = 0; j < i; j++) {
      if (length(plus(positions[i], positions[j], -1)) < BOND * (radii[i] + radii[j])) bonds.push([i, j]);
    }
  }
  return bonds;
}

// The corners of a cell, in the order of EDGES.
function cornersOf(cell) {
  const corners = [];
  for (let i = 0; i < 8; i++) {
    corners.push([i & 1, (i >> 1) & 1, i >> 2].reduce((sum, share, k) => plus(sum, cell[k], share), [0, 0, 0]));
  }
  return corners;
}

// All that is drawn, around its middle: atoms, and lines with a colour and a width in A.
class Model {
  constructor(structure, elements) {
    const looks = structure.numbers.map((number) => elements[number]);
    this.colours = looks.map(([, , colour]) => colour);
    this.radii = looks.map(([, radius]) => BALL * radius);
    const corners = structure.cell ? cornersOf(structure.cell) : [];
    const points = [...structure.positions, ...corners];
    const ends = [0, 1, 2].map((k) => [Math.min(...points.map((p) => p[k])), Math.max(...points.map((p) => p[k]))]);
    const middle = ends.map(([low, high]) => (low + high) / 2);
    this.size = Math.max(3, 2.3 * Math.max(...points.map((p) => length(plus(p, middle, -1)))) + 1.5); // with room for arrows
    this.atoms = structure.positions.map((p) => plus(p, middle, -1));
    this.lines = bondsOf(structure, looks.map(([, radius]) => radius)).flatMap(([i, j]) => this.bond(i, j));
    const places = corners.map((corner) => plus(corner, middle, -1));
    if (corners.length) this.lines.push(...EDGES.map(([i, j]) => ({ from: places[i], to: places[j], colour: "#7a828c", width: 0 })));
    this.arrows = this.arrowsOf(structure.errors ?? []);
  }

  // Two halves, in the colours of the atoms, from just below their surfaces.
  bond(i, j) {
    const middle = plus(this.atoms[i], this.atoms[j]).map((x) => x / 2);
    return [i, j].map((k) => {
      const way = plus(middle, this.atoms[k], -1);
      const from = plus(this.atoms[k], way, Math.min(1, (0.85 * this.radii[k]) / Math.max(length(way), 1e-9)));
      return { from, to: middle, colour: shaded(this.colours[k], 0.8), width: 0.16 };
    });
  }

  arrowsOf(errors) {
    const longest = Math.max(0, ...errors.map(length));
    const seen = errors.map((error, i) => ({ error, i })).filter(({ error }) => longest && length(error) > SHORTEST * longest);
    return seen.map(({ error, i }) => ({ from: this.atoms[i], to: plus(this.atoms[i], error, (ARROW * this.size) / longest) }));
  }
}
