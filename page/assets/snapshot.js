// The question which tables an incremental snapshot is to read.

import { element, say, show } from "./element.js";
import { counted } from "./number.js";

/** Asks; gives `{ tables, conditions }`, or `null`. */
export function choose(names) {
  return new Promise((resolve) => {
    const boxes = [...names].sort().map((name) => {
      const box = element("input", { type: "checkbox", value: name });
      return { name, box, label: element("label", {}, box, name) };
    });
    const chosen = () => boxes.filter(({ box }) => box.checked).map(({ name }) => name);
    const start = element("button.primary", { type: "submit", "data-action": "start-snapshot" }, "Start");
    const told = element("span.small.quiet", { role: "status" });
    const changed = () => {
      start.disabled = chosen().length === 0;
      say(told, `${counted(chosen().length, "table")} chosen`);
    };
    const filter = element("input", { type: "search", placeholder: "Filter by name", "aria-label": "Filter tables by name", oninput: (event) => {
      for (const { name, label } of boxes) show(label, name.toLowerCase().includes(event.target.value.trim().toLowerCase()));
    } });
    const condition = element("input", { type: "text", id: "condition", autocomplete: "off", spellcheck: "false", placeholder: "id > 1000" });
    const dialog = element("dialog", { "aria-labelledby": "snapshot-title" });
    const end = (answer) => {
      dialog.close();
      dialog.remove();
      resolve(answer);
    };
    const form = element("form", { method: "dialog", onsubmit: (event) => {
      event.preventDefault();
      const tables = chosen();
      const where = condition.value.trim();
      end({ tables, conditions: where === "" ? {} : Object.fromEntries(tables.map((table) => [table, where])) });
    } },
    element("h2", { id: "snapshot-title" }, "Incremental snapshot"),
    element("p.small.quiet", {}, "Reads these tables chunk by chunk between the changes, and publishes every row once more (r). Streaming goes on meanwhile."),
    filter, element("div.choices", { role: "group", "aria-label": "Tables" }, ...boxes.map(({ label }) => label)),
    element("label.field", { for: "condition" }, "Only rows for which this SQL condition holds (optional)", condition),
    element("div.buttons", {}, told, element("button", { type: "button", onclick: () => end(null) }, "Cancel"), start));
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      end(null);
    });
    dialog.addEventListener("change", changed);
    dialog.append(form);
    document.body.append(dialog);
    changed();
    dialog.showModal();
  });
}
