// The map of errors: a picture, and over it what the points are and which rows they belong to.

const NEAR = 14; // pixels

class ErrorMap {
  constructor(plot, points) {
    this.plot = plot;
    this.points = points.map(([across, down, rank, text]) => ({ across, down, rank, text }));
    this.byRank = new Map(this.points.filter(({ rank }) => rank).map((point) => [point.rank, point]));
    this.onPoint = () => {};
    this.onChoose = () => {};
    this.over = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.tip = document.createElement("div");
    this.tip.className = "tip";
    this.tip.hidden = true;
    this.ring = this.circle("ring", 8);
    plot.append(this.over, this.tip);
    plot.addEventListener("pointermove", (event) => this.point(this.nearest(event)));
    plot.addEventListener("pointerleave", () => this.point(null));
    plot.addEventListener("click", (event) => this.choose(this.nearest(event)));
  }

  circle(kind, radius) {
    const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    circle.setAttribute("class", kind);
    circle.setAttribute("r", String(radius));
    return circle;
  }

  place(circle, { across, down }) {
    circle.setAttribute("cx", `${100 * across}%`);
    circle.setAttribute("cy", `${100 * down}%`);
    this.over.append(circle);
  }

  // The point under the pointer; a suspect before others that are as near.
  nearest({ clientX, clientY }) {
    const box = this.plot.getBoundingClientRect();
    let found = null;
    let least = NEAR;
    for (const point of this.points) {
      const distance = Math.hypot(box.left + point.across * box.width - clientX, box.top + point.down * box.height - clientY);
      if (distance < least) [found, least] = [point, distance];
    }
    return found;
  }

  point(point) {
    this.mark(point);
    this.tip.hidden = !point;
    this.plot.classList.toggle("choosable", Boolean(point?.rank));
    this.onPoint(point?.rank ?? 0);
    if (!point) return;
    this.tip.textContent = (point.rank ? `${point.rank}: ` : "") + point.text;
    const [right, low] = [point.across > 0.6, point.down > 0.6];
    this.tip.style.left = right ? "auto" : `calc(${100 * point.across}% + 14px)`;
    this.tip.style.right = right ? `calc(${100 - 100 * point.across}% + 14px)` : "auto";
    this.tip.style.top = low ? "auto" : `${100 * point.down}%`;
    this.tip.style.bottom = low ? `${100 - 100 * point.down}%` : "auto";
  }

  choose(point) {
    if (point?.rank) this.onChoose(point.rank);
  }

  mark(point) {
    this.ring.remove();
    if (point) this.place(this.ring, point);
  }

  markRank(rank) {
    this.mark(this.byRank.get(rank) ?? null);
  }

  // Mark the suspects that a filter leaves.
  filter(ranks) {
    this.over.replaceChildren();
    for (const rank of ranks) {
      const point = this.byRank.get(rank);
      if (point) this.place(this.circle("left", 5), point);
    }
    this.plot.classList.toggle("filtered", ranks.length > 0);
  }
}
