"use strict";
(() => {
  const form = document.getElementById("filters");
  if (!form) return;
  document.documentElement.classList.add("script");
  const shown = document.getElementById("shown");
  const unfold = document.getElementById("unfold");
  const fields = form.elements;
  const cases = Array.from(document.querySelectorAll("tbody"), (row) => ({
    row,
    status: row.className,
    tags: Array.from(row.querySelectorAll(".tag"), (tag) => tag.textContent),
    text: null,
  }));
  const found = (each, text) => {
    each.text ??= each.row.textContent.toLowerCase();
    return each.text.includes(text);
  };
  const filter = () => {
    const boxes = form.querySelectorAll("input[name=status]:checked");
    const statuses = new Set(Array.from(boxes, (box) => box.value));
    const tag = fields.tag ? fields.tag.value : "";
    const text = fields.text.value.trim().toLowerCase();
    let count = 0;
    for (const each of cases) {
      const fits = statuses.has(each.status) && (!tag || each.tags.includes(tag)) &&
        (!text || found(each, text));
      each.row.hidden = !fits;
      count += fits;
    }
    shown.textContent = `${count.toLocaleString("en")} of ${cases.length.toLocaleString("en")} shown`;
  };
  let waiting = 0;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 60);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  unfold.addEventListener("click", () => {
    const open = unfold.textContent === "Unfold all";
    for (const each of document.querySelectorAll("tbody:not([hidden]) details")) each.open = open;
    unfold.textContent = open ? "Fold all" : "Unfold all";
  });
  filter();
})();
