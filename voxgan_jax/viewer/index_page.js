// The table of a batch: a head sorts by its column, the box filters rows.
(() => {
  const table = document.getElementById("pots");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const collator = new Intl.Collator(undefined, { numeric: true });
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    const numbers = head.classList.contains("number");
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.value;
      const compare = (a, b) => (numbers ? Number(a) - Number(b) : collator.compare(a, b));
      rows.sort((a, b) => {
        // What has no value comes last either way.
        if (!key(a) || !key(b)) return Number(!key(a)) - Number(!key(b));
        return (up ? 1 : -1) * compare(key(a), key(b));
      });
      body.append(...rows);
    });
  });
  const box = document.getElementById("filter");
  const found = document.getElementById("found");
  const filter = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const text = `${row.cells[1].textContent} ${row.cells[5].textContent}`.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      count += !row.hidden;
    }
    found.textContent = words.length ? `${count} of ${rows.length}` : "";
  };
  box.addEventListener("input", filter);
})();
