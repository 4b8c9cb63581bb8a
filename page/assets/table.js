// Tables that are sorted by a column and filtered by name.

import { element, mark, say, show } from "./element.js";
import { count } from "./number.js";

/** Rows by their key. `columns`: `{ key, title, value(row), text(row), kind }`; the first names the row. */
export class Listing {
  constructor(key, title, word, columns, sorted) {
    [this.columns, this.word, this.rows, this.made] = [columns, word, [], new Map()];
    [this.by, this.down] = sorted ?? [columns[0].key, false];
    this.filter = "";
    this.count = element("span.count");
    this.body = element("tbody");
    this.heads = columns.map((column) => {
      const head = element(`th${column.kind ? `.${column.kind}` : ""}`, { scope: "col" }, element("button", { type: "button", onclick: () => this.sort(column) }, column.title));
      if (column.about) head.title = column.about;
      return head;
    });
    this.search = element("input", { type: "search", placeholder: "Filter by name", "aria-label": `Filter ${title.toLowerCase()} by name`,
      oninput: (event) => { this.filter = event.target.value.trim().toLowerCase(); this.draw(); } });
    const table = element("table", { "aria-label": title }, element("thead", {}, element("tr", {}, ...this.heads)), this.body);
    this.root = element("section.listing.card", { "data-listing": key },
      element("div.head", {}, element("h3", {}, title), this.count, this.search), element("div.scroll", { tabindex: "0", role: "region", "aria-label": title }, table));
  }

  sort(column) {
    if (this.by === column.key) this.down = !this.down;
    else [this.by, this.down] = [column.key, column !== this.columns[0]];
    this.draw();
  }

  set(rows) {
    this.rows = rows;
    this.draw();
  }

  draw() {
    const column = this.columns.find(({ key }) => key === this.by);
    const compare = (a, b) => {
      const [x, y] = [column.value(a), column.value(b)];
      const order = typeof x === "string" || typeof y === "string" ? String(x ?? "").localeCompare(String(y ?? "")) : (x ?? -1) - (y ?? -1);
      return (this.down ? -order : order) || a.name.localeCompare(b.name);
    };
    this.heads.forEach((head, index) => {
      mark(head, "aria-sort", this.columns[index] === column ? (this.down ? "descending" : "ascending") : null);
    });
    const shown = this.rows.filter((row) => row.name.toLowerCase().includes(this.filter)).sort(compare);
    say(this.count, this.filter === "" ? count(this.rows.length) : `${count(shown.length)} of ${count(this.rows.length)}`);
    show(this.search, this.rows.length > 5 || this.filter !== "");
    const known = new Set(this.rows.map((row) => row.name));
    for (const [name, made] of this.made) {
      if (!known.has(name)) { made.root.remove(); this.made.delete(name); }
    }
    const made = shown.map((row) => this.row(row).root);
    if (made.length !== this.body.children.length || made.some((row, index) => this.body.children[index] !== row)) {
      this.body.replaceChildren(...made);
    }
  }

  row(row) {
    let made = this.made.get(row.name);
    if (!made) {
      const cells = this.columns.map((column, index) => index === 0 ? element("th", { scope: "row" }) : element(`td${column.kind ? `.${column.kind}` : ""}`, { "data-column": column.key }));
      made = { cells, root: element("tr", { "data-row": row.name }, ...cells) };
      this.made.set(row.name, made);
    }
    this.columns.forEach((column, index) => {
      const cell = made.cells[index];
      say(cell, column.text(row));
      cell.classList.toggle("none", index > 0 && !column.value(row));
    });
    return made;
  }
}

/** What went wrong last. */
export class Failures {
  /** `program` explains a code. */
  constructor(program) {
    this.program = program;
    this.list = element("ul.listed");
    this.root = element("section.listing.card", { "data-listing": "failures" },
      element("div.head", {}, element("h3", {}, "What went wrong last")), this.list);
    this.said = "";
  }

  set(failures, clock) {
    show(this.root, failures.length > 0);
    const said = JSON.stringify(failures);
    if (this.said === said) return;
    this.said = said;
    const more = (code) => (code ? [" ", element("code", {}, `${this.program} explain ${code}`)] : []);
    this.list.replaceChildren(...failures.map(({ at_ms, text, code }) => element("li", {}, element("time", {}, clock(at_ms)), element("div", {}, text.trim(), ...more(code)))));
  }
}
