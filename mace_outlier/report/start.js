// Puts list, map and viewer of the page together. Without this script, the page is a static one.

function start() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const plot = document.querySelector(".plot");
  const map = plot && data.points.length ? new ErrorMap(plot, data.points) : null;
  const table = document.getElementById("list");
  const list = table ? new List(table) : null;
  if (map && list) connect(map, list);
  makeTurnable(data.structures);
  document.documentElement.classList.add("alive");
}

function connect(map, list) {
  const rankOf = (event) => Number(event.target.closest("tr")?.dataset.rank ?? 0);
  let lit = null;
  map.onPoint = (rank) => {
    lit?.classList.remove("lit");
    lit = list.byRank.get(rank) ?? null;
    lit?.classList.add("lit");
  };
  map.onChoose = (rank) => list.reveal(rank);
  list.onFilter = (ranks) => map.filter(ranks);
  const body = list.table.tBodies[0];
  body.addEventListener("pointerover", (event) => map.markRank(rankOf(event)));
  body.addEventListener("focusin", (event) => map.markRank(rankOf(event)));
  body.addEventListener("pointerleave", () => map.markRank(0));
}

start();
