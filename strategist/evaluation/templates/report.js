"use strict";
/* Sorting, filtering, and open details in print. The page is complete without it. */
for (const table of document.querySelectorAll("table[data-sortable]")) {
  table.querySelectorAll("thead th[data-sort]").forEach((head) => {
    const column = [...head.parentNode.children].indexOf(head);
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (body) => body.rows[0].cells[column].dataset.value;
      const number = head.dataset.sort === "number";
      [...table.tBodies]
        .sort((a, b) => (number ? value(a) - value(b) : value(a).localeCompare(value(b))) * (down ? -1 : 1))
        .forEach((body) => table.append(body));
    });
  });
  const field = document.createElement("input");
  field.type = "search";
  field.className = "filter";
  field.placeholder = "Filter strategies";
  field.setAttribute("aria-label", "Filter strategies");
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    for (const body of table.tBodies) body.hidden = !body.textContent.toLowerCase().includes(wanted);
  });
  table.parentNode.before(field);
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
