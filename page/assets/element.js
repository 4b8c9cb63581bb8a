// Elements and icons, made without markup in strings.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `element("p.quiet", { id: "x", onclick: f }, "text", child)`. */
export function element(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const made = document.createElement(tag);
  if (classes.length > 0) made.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** An SVG element. */
export function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Writes a text where it is another one: what is not touched is not read out again. */
export function say(where, text) {
  if (where.textContent !== text) where.textContent = text;
}

/** Sets an attribute where it is another one; `null` takes it away. */
export function mark(where, name, value) {
  if (value === null || value === undefined) where.removeAttribute(name);
  else if (where.getAttribute(name) !== String(value)) where.setAttribute(name, value);
}

/** Shows an element or does not. */
export function show(where, is) {
  if (where.hidden === is) where.hidden = !is;
}

const ICONS = {
  good: "M3 8.5l3.2 3.2L13 4.8",
  paused: "M5.5 3.5v9M10.5 3.5v9",
  off: "M4.5 4.5h7v7h-7z",
  careful: "M8 2.5l6.3 11H1.7zM8 6.5v3.2M8 11.6v.1",
  bad: "M8 1.8a6.2 6.2 0 100 12.4A6.2 6.2 0 008 1.8zM8 4.8v3.8M8 10.9v.2",
  wait: "M3 8h.1M8 8h.1M13 8h.1",
  unseen: "M3 8h10",
  database: "M2.5 4c0-1.2 2.5-2 5.5-2s5.5.8 5.5 2-2.5 2-5.5 2-5.5-.8-5.5-2zM2.5 4v8c0 1.2 2.5 2 5.5 2s5.5-.8 5.5-2V4M2.5 8c0 1.2 2.5 2 5.5 2s5.5-.8 5.5-2",
  decode: "M5 4L1.5 8 5 12M11 4l3.5 4L11 12M9.5 2.5l-3 11",
  kafka: "M2 4h12M2 8h12M2 12h12M5 4v.1M9 8v.1M12 12v.1",
  sink: "M8 1.5v8M4.8 6.5L8 9.7l3.2-3.2M2.5 10.5v3h11v-3",
};

/** An icon; the words beside it say the same. */
export function icon(name) {
  return drawn(
    "svg",
    { viewBox: "0 0 16 16", "aria-hidden": "true", fill: "none", stroke: "currentColor", "stroke-width": name === "wait" ? 2.4 : 1.7,
      "stroke-linecap": "round", "stroke-linejoin": "round" },
    drawn("path", { d: ICONS[name] ?? ICONS.unseen }),
  );
}

/** Puts a word with its icon into a badge. `level`: good, careful, bad or another icon's name. */
export function badge(where, level, text) {
  if (where.dataset.level === level && where.dataset.text === text) return;
  Object.assign(where.dataset, { level, text });
  where.replaceChildren(icon(level), text);
}
