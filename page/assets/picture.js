// The pipeline as a picture, and figures over the last minutes.

import { drawn, element, icon, mark, say } from "./element.js";

/** Places with the ways between them. `places`: `{ key, icon, title }`. */
export class Picture {
  constructor(places) {
    this.places = new Map();
    this.ways = [];
    this.root = element("div.picture.card", { role: "group", "aria-label": "The pipeline" });
    places.forEach(({ key, icon: sign, title }, index) => {
      if (index > 0) this.root.append(this.way());
      const state = element("div.state");
      const lines = element("div.lines");
      const root = element("div.place", { "data-place": key }, element("div.kind", {}, icon(sign), title), state, lines);
      this.places.set(key, { root, state, lines, said: "" });
      this.root.append(root);
    });
  }

  way() {
    const way = { over: element("span.over"), under: element("span.under") };
    const line = drawn("svg", { viewBox: "0 0 70 14", "aria-hidden": "true", preserveAspectRatio: "xMidYMid meet" },
      drawn("path", { class: "flow", d: "M3 7h58" }), drawn("path", { d: "M60 2.5L66 7l-6 4.5" }));
    way.root = element("div.way", {}, way.over, line, way.under);
    this.ways.push(way);
    return way.root;
  }

  /** How a place is: `level`, the words for it, and more lines below. */
  place(key, level, words, lines = []) {
    const place = this.places.get(key);
    mark(place.root, "data-level", level);
    const said = JSON.stringify([level, words, lines.map((line) => line?.href ?? line)]);
    if (place.said === said) return;
    place.said = said;
    place.state.replaceChildren(icon(level), words);
    place.lines.replaceChildren(...lines.filter((line) => line).map((line) => element("div.line", { title: typeof line === "string" ? line : undefined }, line)));
  }

  /** What goes along a way: over it how much, under it how late. */
  flow(number, { flows = false, level = null, over = "", under = "" }) {
    const way = this.ways[number];
    mark(way.root, "data-flows", flows ? "yes" : "no");
    mark(way.root, "data-level", level);
    say(way.over, over);
    say(way.under, under);
  }
}

/** How many figures of the past are kept: five minutes of them. */
const KEPT = 300;

/** A figure over time, drawn small. */
export class Spark {
  constructor(label, format) {
    [this.format, this.values, this.second] = [format, [], 0];
    this.area = drawn("path", { class: "area" });
    this.line = drawn("path", { class: "line" });
    this.most = element("span");
    this.since = element("span");
    const svg = drawn("svg", { viewBox: `0 0 ${KEPT} 44`, preserveAspectRatio: "none", role: "img", "aria-label": `${label} over the last minutes` }, this.area, this.line);
    this.root = element("div.spark", {}, svg, element("div.scale", {}, this.since, this.most));
  }

  /** One figure a second. */
  push(ms, value) {
    const second = Math.floor(ms / 1000);
    if (second === this.second) {
      if (this.values.length > 0) this.values[this.values.length - 1] = Math.max(value, this.values.at(-1));
      return;
    }
    this.second = second;
    this.values.push(value);
    if (this.values.length > KEPT) this.values.shift();
    this.draw();
  }

  draw() {
    const values = this.values;
    const most = Math.max(...values, 0);
    const y = (value) => (most > 0 ? 42 - (value / most) * 40 : 42);
    // The oldest on the left, as wide as what there is: a page that was just opened shows something.
    const step = KEPT / Math.max(values.length - 1, 30);
    const begin = KEPT - (values.length - 1) * step;
    const points = values.map((value, index) => `${(begin + index * step).toFixed(1)} ${y(value).toFixed(1)}`);
    this.line.setAttribute("d", points.length > 1 ? `M${points.join("L")}` : "");
    this.area.setAttribute("d", points.length > 1 ? `M${points.join("L")}L${KEPT} 44L${begin.toFixed(1)} 44Z` : "");
    say(this.most, most > 0 ? `at most ${this.format(most)}` : "");
    const minutes = Math.floor(values.length / 60);
    say(this.since, minutes > 0 ? `last ${minutes} min` : `last ${Math.max(values.length, 1)} s`);
  }
}

/** A figure with its label, and what is below it. */
export class Tile {
  constructor(key, label, below) {
    this.figure = element("div.figure", { "data-figure": key });
    this.more = element("div.more");
    this.root = element("div.tile.card", {}, element("div.label", {}, label), this.figure, this.more, below);
  }

  set(figure, more = "") {
    if (this.said !== figure) {
      this.said = figure;
      const [, number, unit] = /^(\S+)(.*)$/.exec(figure) ?? [null, figure, ""];
      this.figure.replaceChildren(number, element("small", {}, unit));
    }
    say(this.more, more);
  }
}

/** What is going on with an end: words, a bar, and how far. */
export class Going {
  constructor(key) {
    this.title = element("h3");
    this.badge = element("span.badge", { role: "status", "aria-live": "polite" });
    this.far = element("span.quiet");
    this.bar = element("progress", { max: 1000 });
    this.more = element("div.small.quiet");
    this.root = element("div.going.card", { "data-going": key },
      element("div.head", {}, this.title, this.badge, this.far), this.bar, this.more);
  }
}
