// The sink's page.

import { badge, element, icon, mark, say, show } from "./element.js";
import { listen } from "./live.js";
import { brief, bytes, clock, count, counted, Rate, rate, seconds } from "./number.js";
import { Going, Picture, Spark, Tile } from "./picture.js";
import { Failures, Listing } from "./table.js";

const PLACES = [
  { key: "slot", icon: "database", title: "Slot" },
  { key: "decode", icon: "decode", title: "Decode" },
  { key: "kafka", icon: "kafka", title: "Kafka" },
  { key: "sink", icon: "sink", title: "Sink" },
  { key: "target", icon: "database", title: "Target" },
];

const number = (key, title, about, text = count) => ({ key, title, about, value: (row) => row[key] ?? 0, text: (row) => (row[key] === null ? "–" : text(row[key])) });

const TOPICS = [
  { key: "name", title: "Topic", value: (row) => row.name, text: (row) => row.name },
  number("rate", "Records/s", "Records applied a second", rate),
  number("behind", "Behind", "Records that are in Kafka and not in the target"),
  number("applied", "Applied", "Records applied since this sink started"),
  number("lag_seconds", "Lag", "From the source’s commit to the target’s, of the newest record", seconds),
  number("set_aside", "Set aside", "Records in headwater.set_aside"),
  number("share", "Partitions", "Partitions of this sink’s"),
  { key: "state", kind: "text", title: "State", value: (row) => row.error ?? "", text: (row) => row.error ?? (row.share === 0 ? "not this sink’s" : row.behind > 0 ? "catching up" : "up to date") },
];

const VERIFIED = [
  { key: "name", title: "Table", value: (row) => row.name, text: (row) => row.name },
  { key: "equal", title: "Equal", value: (row) => (row.equal ? 1 : 0), text: (row) => (row.equal ? "yes" : "no") },
  number("left", "Differing rows", "Rows that differ and were not mended"),
  number("undecided", "Undecided", "Rows that change all the time"),
  number("mended", "Mended", "Rows written as the source has them"),
];

const view = {
  badge: element("span.badge", { role: "status", "aria-live": "polite" }),
  title: element("h2"),
  where: element("p.where"),
  notice: element("div.notice", { role: "alert", hidden: true }, icon("careful"), element("strong"), element("span")),
  picture: new Picture(PLACES),
  sparks: { rate: new Spark("Records a second", brief), lag: new Spark("Lag", seconds), behind: new Spark("Records behind", brief) },
  copy: new Going("copy"),
  steps: element("ol.listed"),
  topics: new Listing("topics", "Topics", "topic", TOPICS, ["applied", true]),
  verified: new Listing("verified", "Last comparison", "table", VERIFIED),
  failures: new Failures("sink"),
};
const tiles = {
  rate: new Tile("rate", "Applied", view.sparks.rate.root),
  lag: new Tile("lag", "Commit to target", view.sparks.lag.root),
  behind: new Tile("behind", "In Kafka, not in the target", view.sparks.behind.root),
  aside: new Tile("aside", "Set aside", null),
};
const tileRow = element("div.tiles", {}, ...Object.values(tiles).map((tile) => tile.root));
const steps = element("section.listing.card", { "data-listing": "steps" }, element("div.head", {}, element("h3", {}, "The start, step by step")), view.steps);
const root = element("section.subject", { "aria-label": "The sink" },
  element("div.title", {}, view.title, view.badge, view.where), view.notice, view.picture.root, tileRow, view.copy.root,
  view.verified.root, view.topics.root, view.failures.root, steps);

const applied = new Rate();
const rates = new Map();

/** Sums up a topic's partitions: how many records wait; `null` where it is not known. */
function behind(partitions) {
  const known = partitions.filter(({ next, end }) => end !== null);
  return known.length === 0 ? null : known.reduce((all, { next, end }) => all + Math.max(0, end - (next ?? 0)), 0);
}

function rows(topics, now) {
  return topics.map((topic) => {
    let of = rates.get(topic.name);
    if (!of) rates.set(topic.name, (of = new Rate()));
    return { ...topic, rate: of.at(now, topic.applied), behind: behind(topic.partitions), share: topic.partitions.length };
  });
}

function condition(state, standing) {
  if (state.command === "verify") return state.standing ? ["careful", "Standing still"] : ["good", "Comparing"];
  if (standing) return ["careful", "Standing still"];
  return state.applies ? ["good", "Applying"] : ["wait", "Starting"];
}

function shownCopy(copy) {
  show(view.copy.root, Boolean(copy));
  if (!copy) return;
  say(view.copy.title, "Copy of the source");
  badge(view.copy.badge, copy.complete ? "good" : "wait", copy.complete ? "Complete" : "Running");
  say(view.copy.far, copy.complete ? `${counted(copy.rows, "row")} · ${bytes(copy.bytes)}` : `${bytes(copy.bytes)} of about ${bytes(copy.total)} · ${bytes(copy.rate)}/s${copy.left === null ? "" : ` · ${seconds(copy.left)} left`}`);
  show(view.copy.bar, !copy.complete);
  view.copy.bar.value = copy.complete ? 1000 : Math.min(990, (copy.bytes / Math.max(1, copy.total)) * 1000);
  say(view.copy.more, `${copy.done} of ${counted(copy.tables, "table")} there${copy.complete ? "" : ` · ${counted(copy.rows, "row")}`}`);
}

function shownSteps(list) {
  show(steps, list.length > 0);
  view.steps.replaceChildren(...list.map(({ what, done, took_ms: took }) =>
    element("li", {}, element("div.row", {}, element("span", {}, what), element("span.took", {}, took === null ? "under way" : seconds(took / 1000))), done && element("div.small.quiet", {}, done))));
}

listen((state, page) => {
  if (!root.isConnected) page.replaceChildren(root);
  const now = state.now_ms;
  const topics = rows(state.topics, now);
  const stuck = topics.filter((topic) => topic.error);
  const why = state.standing ?? stuck[0]?.error ?? null;
  const [level, word] = condition(state, why);
  badge(view.badge, level, word);
  mark(root, "data-state", word);
  say(view.title, state.prefix ?? (state.command === "verify" ? "Comparison" : "Sink"));
  say(view.where, [state.target && `into ${state.target}`, state.mode && `applied ${state.mode}`, !state.applies && state.step].filter((part) => part).join(" · "));
  show(view.notice, why !== null);
  if (why !== null) {
    mark(view.notice, "data-level", "careful");
    const [title, text] = view.notice.querySelectorAll("strong, span");
    say(title, state.standing ? "Nothing is applied for now." : `${counted(stuck.length, "topic")} of ${topics.length} ${stuck.length === 1 ? "stands" : "stand"} still; the others go on.`);
    say(text, state.standing ?? `${stuck[0].name}: ${why}`);
  }
  document.title = level === "careful" ? `${word} – Headwater sink` : "Headwater sink";
  const isVerify = state.command === "verify";
  const total = topics.reduce((all, topic) => all + topic.applied, 0);
  const speed = applied.at(now, total);
  const waiting = topics.filter((topic) => topic.behind !== null);
  const records = waiting.length === 0 ? null : waiting.reduce((all, topic) => all + topic.behind, 0);
  const newest = topics.reduce((last, topic) => ((topic.applied_ms ?? 0) > (last?.applied_ms ?? 0) ? topic : last), null);
  const lag = newest?.lag_seconds ?? null;
  const aside = topics.reduce((all, topic) => all + topic.set_aside, 0);
  for (const shown of [view.picture.root, tileRow, view.topics.root]) show(shown, !isVerify);
  if (!isVerify) {
    view.picture.place("slot", "unseen", "Worker’s page", [state.worker && element("a", { href: state.worker }, "open it")]);
    view.picture.place("decode", "unseen", "Worker’s page");
    view.picture.place("kafka", state.standing ? "careful" : state.applies ? "good" : "wait", state.standing ? "See above" : state.applies ? "Read" : "Not read yet",
      [counted(topics.length, "topic"), `${counted(topics.reduce((all, topic) => all + topic.share, 0), "partition")} here`]);
    view.picture.place("sink", level, word, [state.mode, counted(total, "record")]);
    view.picture.place("target", why ? "careful" : newest ? "good" : "wait", newest ? `Written ${clock(newest.applied_ms)}` : "Nothing written yet", [state.target]);
    view.picture.flow(2, { flows: speed > 0, level: state.standing ? "careful" : null, over: records === null ? "" : `${brief(records)} behind`, under: records === null ? "" : "records" });
    view.picture.flow(3, { flows: speed > 0, level: why ? "careful" : null, over: `${brief(speed)}/s`, under: lag === null ? "" : seconds(lag) });
    view.sparks.rate.push(now, speed);
    tiles.rate.set(`${brief(speed)} records/s`, `${counted(total, "record")} since the start`);
    view.sparks.lag.push(now, lag ?? 0);
    tiles.lag.set(lag === null ? "–" : seconds(lag), newest ? `newest record, at ${clock(newest.applied_ms)}` : "");
    view.sparks.behind.push(now, records ?? 0);
    tiles.behind.set(records === null ? "–" : counted(records, "record"), waiting.length === 0 ? "" : `in ${counted(waiting.filter((topic) => topic.behind > 0).length, "topic")}`);
    tiles.aside.set(counted(aside, "record"), aside > 0 ? "in headwater.set_aside: look there, then sink replay" : "nothing was refused");
    view.topics.set(topics);
  }
  shownCopy(state.copy);
  shownSteps(state.steps);
  show(view.verified.root, Boolean(state.verified));
  if (state.verified) view.verified.set(state.verified.tables);
  view.failures.set(state.failures, clock);
});
