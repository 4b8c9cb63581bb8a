// The streamer's page: a part for each connector.

import { badge, element, icon, mark, say, show } from "./element.js";
import { ask, listen } from "./live.js";
import { brief, bytes, clock, count, counted, Rate, rate, seconds } from "./number.js";
import { Going, Picture, Spark, Tile } from "./picture.js";
import { choose } from "./snapshot.js";
import { Failures, Listing } from "./table.js";

/** After how many seconds without an acknowledgement, or at one change, it is said that something is waited for. */
const PATIENCE = 3;

const PLACES = [
  { key: "slot", icon: "database", title: "Slot" },
  { key: "decode", icon: "decode", title: "Decode" },
  { key: "kafka", icon: "kafka", title: "Kafka" },
  { key: "sink", icon: "sink", title: "Sink" },
  { key: "target", icon: "database", title: "Target" },
];

const COLUMNS = [
  { key: "name", title: "Table", value: (row) => row.name, text: (row) => row.name },
  { key: "all", title: "Records", about: "Records published since the streamer started", value: (row) => row.all, text: (row) => count(row.all) },
  { key: "rate", title: "Records/s", about: "Records published a second", value: (row) => row.rate, text: (row) => rate(row.rate) },
  ...[["read", "Read", "r: rows read by snapshots"], ["created", "Inserted", "c"], ["updated", "Updated", "u"], ["deleted", "Deleted", "d"], ["truncated", "Truncated", "t"]]
    .map(([key, title, about]) => ({ key, title, about, value: (row) => row[key], text: (row) => count(row[key]) })),
];

/** How a connector is, in a word: of its task, which is what runs. */
function condition({ state, task, changing }) {
  if (changing) return ["wait", "Changing"];
  if (task === "FAILED") return ["bad", "Failed"];
  if (task === "RESTARTING") return ["careful", "Standing still"];
  if (state === "PAUSED") return ["paused", "Paused"];
  if (state === "STOPPED") return ["off", "Stopped"];
  if (state === "UNASSIGNED") return ["off", "Not run here"];
  return task === "RUNNING" ? ["good", "Running"] : ["wait", "Starting"];
}

const sum = (slots, key) => slots.reduce((all, slot) => all + (slot[key] ?? 0), 0);

const most = (slots, key) => slots.reduce((all, slot) => (slot[key] === null ? all : Math.max(all ?? 0, slot[key])), null);

/** A connector. */
class Connector {
  constructor(name) {
    this.name = name;
    this.rates = { records: new Rate(), bytes: new Rate(), transactions: new Rate() };
    this.tables = new Map();
    this.badge = element("span.badge", { role: "status", "aria-live": "polite" });
    this.where = element("p.where");
    this.said = element("p.said", { role: "status", "aria-live": "polite" });
    const path = `/connectors/${encodeURIComponent(name)}`;
    const button = (action, title, act) => element("button", { type: "button", "data-action": action, onclick: act }, title);
    this.pause = button("pause", "Pause", () => this.act("PUT", `${path}/pause`, "Pausing …"));
    this.resume = button("resume", "Resume", () => this.act("PUT", `${path}/resume`, "Resuming …"));
    this.restart = button("restart", "Restart", () => this.act("POST", `${path}/restart?includeTasks=true`, "Restarting …"));
    this.snapshot = button("snapshot", "Snapshot …", async () => {
      const wanted = await choose(this.state.tables.map((table) => table.name));
      if (wanted) await this.act("POST", `${path}/incremental-snapshot`, "Asking for a snapshot …", wanted);
    });
    this.trouble = element("div");
    this.reason = element("span");
    this.notice = element("div.notice", { role: "alert" }, icon("careful"), element("strong"), this.reason);
    this.picture = new Picture(PLACES);
    this.sparks = { rate: new Spark("Records a second", brief), lag: new Spark("Lag", seconds), retained: new Spark("Retained log", bytes), flight: new Spark("Records on the way", brief) };
    this.meter = element("progress", { max: 1000, "aria-label": "Retained log against its limit" });
    this.tiles = {
      rate: new Tile("rate", "Published", this.sparks.rate.root),
      lag: new Tile("lag", "Commit to Kafka", this.sparks.lag.root),
      retained: new Tile("retained", "Log that the slot retains", element("div", {}, element("div.meter", {}, this.meter), this.sparks.retained.root)),
      flight: new Tile("flight", "In flight to Kafka", this.sparks.flight.root),
    };
    this.whole = new Going("snapshot");
    this.incremental = new Going("incremental");
    this.listing = new Listing("tables", "Tables", "table", COLUMNS, ["all", true]);
    this.failures = new Failures("streamer");
    this.root = element("section.subject", { "data-connector": name, "aria-label": `Connector ${name}` },
      element("div.title", {}, element("h2", {}, name), this.badge, element("div.actions", {}, this.pause, this.resume, this.restart, this.snapshot), this.where, this.said),
      this.notice, this.picture.root, element("div.tiles", {}, ...Object.values(this.tiles).map((tile) => tile.root)),
      this.incremental.root, this.whole.root, this.listing.root, this.failures.root);
  }

  /** Asks the REST API for something. */
  async act(method, path, doing, body) {
    if (this.acts) return;
    this.acts = true;
    const buttons = [this.pause, this.resume, this.restart, this.snapshot];
    for (const button of buttons) mark(button, "aria-disabled", "true");
    mark(this.said, "data-level", null);
    say(this.said, doing);
    const against = await ask(method, path, body);
    this.acts = false;
    for (const button of buttons) mark(button, "aria-disabled", null);
    mark(this.said, "data-level", against ? "bad" : null);
    say(this.said, against ?? "");
  }

  show(state, { kafka, now_ms: now }) {
    this.state = state;
    const [level, word] = condition(state);
    badge(this.badge, level, word);
    mark(this.root, "data-state", state.task ?? state.state);
    say(this.where, [state.source && `from ${state.source}`, state.prefix && `topics ${state.prefix}.*`].filter((part) => part).join(" · "));
    const runs = state.state === "RUNNING";
    show(this.pause, runs);
    show(this.resume, state.state === "PAUSED" || state.state === "STOPPED");
    this.restart.disabled = !runs;
    this.snapshot.disabled = state.task !== "RUNNING" || state.no_snapshot !== null;
    mark(this.snapshot, "title", state.no_snapshot);
    this.tell(state);
    const rates = Object.fromEntries(Object.entries(this.rates).map(([key, of]) => [key, of.at(now, sum(state.slots, key))]));
    this.draw(state, kafka, rates, level);
    this.figures(state, rates, now);
    this.snapshots(state);
    this.listing.set(state.tables.map((table) => this.row(table, now)));
    this.failures.set(state.failures, clock);
  }

  tell({ trace, task, slots }) {
    const silent = slots.find((slot) => slot.server_failure);
    const lost = slots.find((slot) => slot.server?.wal_status === "lost" || slot.server?.wal_status === "unreserved");
    const [level, title, why] =
      trace ? [task === "FAILED" ? "bad" : "careful", task === "FAILED" ? "The task has stopped: it waits for somebody to act." : "The task makes no progress, and tries on by itself.", trace]
      : lost ? ["bad", `Slot ${lost.name} is ${lost.server.wal_status === "lost" ? "lost" : "about to be lost"}.`, "The server keeps no more log for it than max_slot_wal_keep_size allows: let the connector catch up, or raise the limit."]
      : silent ? ["careful", "The source does not say how its slots are.", silent.server_failure]
      : [null, "", ""];
    show(this.notice, level !== null);
    if (level === null) return;
    mark(this.notice, "data-level", level);
    say(this.notice.querySelector("strong"), title);
    // A trace begins with a class's name, as Connect's do.
    say(this.reason, why.trim().replace(/(^|Caused by: )[\w.$]+(Exception|Error): /g, "$1"));
  }

  draw({ slots, task, state }, kafka, rates, level) {
    const runs = task === "RUNNING";
    const several = slots.length > 1;
    const [first] = slots;
    const limit = first?.server?.limit;
    const servers = slots.map((slot) => slot.server).filter((server) => server);
    const active = servers.filter((server) => server.active).length;
    const danger = servers.some((server) => ["lost", "unreserved"].includes(server.wal_status));
    const slotLevel = servers.length === 0 ? "wait" : danger ? "bad" : active === slots.length ? "good" : "off";
    const kept = servers.reduce((all, server) => all + server.retained, 0);
    this.picture.place("slot", slotLevel,
      servers.length === 0 ? "Not seen yet" : danger ? "In danger" : active === slots.length ? "Read" : "Not read",
      [several ? `${slots.length} slots` : first?.name, servers.length > 0 && `${bytes(kept)}${limit ? ` of ${bytes(limit)}` : " of log"} kept`, first?.confirmed_lsn && !several && `LSN ${first.confirmed_lsn}`]);
    const decoding = runs ? "good" : level;
    this.picture.place("decode", decoding, runs ? "Reading" : condition({ state, task })[1],
      [first?.received_lsn && !several && `LSN ${first.received_lsn}`, `${counted(sum(slots, "transactions"), "transaction")}`, sum(slots, "retries") > 0 && `began anew ${counted(sum(slots, "retries"), "time")}`]);
    const waiting = most(slots, "waiting_seconds") ?? 0;
    const flight = sum(slots, "in_flight");
    const isAway = waiting >= PATIENCE;
    const kafkaLevel = isAway ? "bad" : runs ? "good" : "off";
    this.picture.place("kafka", kafkaLevel, isAway ? `${flight > 0 ? "Silent" : "Waiting"} for ${seconds(waiting)}` : runs ? "Acknowledges" : "Idle",
      [kafka.servers.split(",")[0], `${count(flight)} in flight`]);
    this.picture.place("sink", "unseen", "On its own page", ["reads these topics"]);
    this.picture.place("target", "unseen", "On the sink’s page");
    const received = most(slots, "received_lag");
    const decoded = most(slots, "decoded_seconds");
    this.picture.flow(0, { flows: runs && rates.transactions > 0, level: runs ? null : level === "bad" ? "bad" : null, over: received === null ? "" : `${bytes(received)} behind`, under: decoded === null || !runs ? "" : seconds(decoded) });
    const acknowledged = most(slots, "acknowledged_seconds");
    this.picture.flow(1, { flows: runs && rates.records > 0 && !isAway, level: isAway ? "bad" : null, over: runs ? `${brief(rates.records)}/s` : "", under: acknowledged === null ? "" : seconds(acknowledged) });
    this.picture.flow(2, {});
    this.picture.flow(3, {});
    this.retained = { kept, limit, safe: first?.server?.safe, status: first?.server?.wal_status };
  }

  figures({ slots }, rates, now) {
    this.sparks.rate.push(now, rates.records);
    this.tiles.rate.set(`${brief(rates.records)} records/s`, `${bytes(rates.bytes)}/s · ${counted(sum(slots, "records"), "record")} so far`);
    const acknowledged = most(slots, "acknowledged_seconds");
    this.sparks.lag.push(now, acknowledged ?? 0);
    const behind = most(slots, "confirmed_lag");
    this.tiles.lag.set(acknowledged === null ? "–" : seconds(acknowledged), behind === null ? "" : `${bytes(behind)} of log not confirmed`);
    const { kept, limit, safe, status } = this.retained;
    this.tiles.retained.set(bytes(kept), limit ? `of ${bytes(limit)} · ${status}${safe === null || kept < limit / 2 ? "" : ` · ${bytes(Math.max(0, safe))} left`}` : "no limit (max_slot_wal_keep_size)");
    this.sparks.retained.push(now, kept);
    this.sparks.flight.push(now, sum(slots, "in_flight"));
    show(this.meter, Boolean(limit));
    if (limit) {
      this.meter.value = Math.min(1000, (kept / limit) * 1000);
      mark(this.meter, "data-level", kept > limit * 0.9 ? "bad" : kept > limit * 0.6 ? "careful" : "good");
    }
    const waiting = most(slots, "waiting_seconds") ?? 0;
    this.tiles.flight.set(counted(sum(slots, "in_flight"), "record"), `${bytes(sum(slots, "in_flight_bytes"))}${waiting >= PATIENCE ? ` · no acknowledgement for ${seconds(waiting)}` : ""}`);
  }

  snapshots({ slots }) {
    const words = { running: ["wait", "Running"], paused: ["paused", "Paused"], completed: ["good", "Completed"], aborted: ["bad", "Broken off"] };
    const whole = slots.map((slot) => slot.snapshot).filter((snapshot) => snapshot);
    const shown = whole.find((snapshot) => snapshot.state === "running") ?? whole[0];
    show(this.whole.root, Boolean(shown) && shown.tables > 0);
    if (shown) {
      say(this.whole.title, "Snapshot before streaming");
      badge(this.whole.badge, ...words[shown.state]);
      say(this.whole.far, `${counted(shown.rows, "row")} in ${seconds(Math.max(1, shown.seconds))}`);
      show(this.whole.bar, shown.state === "running");
      this.whole.bar.value = shown.tables > 0 ? (shown.done / shown.tables) * 1000 : 0;
      say(this.whole.more, `${shown.done} of ${counted(shown.tables, "table")}${shown.table ? ` · reading ${shown.table}` : ""}`);
    }
    const incremental = slots.map((slot) => slot.incremental).find((snapshot) => snapshot);
    show(this.incremental.root, Boolean(incremental));
    if (incremental) {
      const { state, done, rows, tables, begun_ms, at_ms } = incremental;
      say(this.incremental.title, "Incremental snapshot");
      badge(this.incremental.badge, ...words[state]);
      say(this.incremental.far, `${counted(rows, "row")} in ${seconds(Math.max(1, (at_ms - begun_ms) / 1000))}`);
      show(this.incremental.bar, state === "running" || state === "paused");
      this.incremental.bar.value = (done / Math.max(1, done + tables.length)) * 1000;
      say(this.incremental.more, `${done} of ${counted(done + tables.length, "table")}${tables.length > 0 ? ` · reading ${tables[0]}` : ` · began ${clock(begun_ms)}`}`);
    }
  }

  row(table, now) {
    const all = table.read + table.created + table.updated + table.deleted + table.truncated;
    let of = this.tables.get(table.name);
    if (!of) this.tables.set(table.name, (of = new Rate()));
    return { ...table, all, rate: of.at(now, all) };
  }
}

const connectors = new Map();
const group = element("p.notice", { hidden: true }, icon("careful"), element("strong"), element("span"));
const none = element("p.empty", { hidden: true });

/** Which worker of the group this is, where it is not the one that runs the connectors. */
function shownGroup({ group: { id, active, leader, leader_url: url, worker } }) {
  show(group, !active);
  if (active) return;
  const [title, text] = group.querySelectorAll("strong, span");
  if (leader) {
    say(title, "This worker stands by.");
    const link = text.querySelector("a");
    if (link?.href !== url) text.replaceChildren(`It goes on when the active one of group ${id} ends. The connectors run on `, element("a", { href: url }, leader), ".");
  } else {
    say(title, "This worker has no place in its group.");
    say(text, `Either it just starts, or Kafka does not answer ${worker}. Nothing is lost: what is not in Kafka stays in the slot. It goes on by itself when group ${id} has an active worker again.`);
  }
}

listen((state, page) => {
  if (!group.isConnected) page.replaceChildren(group, none);
  shownGroup(state);
  show(none, state.group.active && state.connectors.length === 0);
  say(none, "No connector is deployed yet: PUT /connectors/NAME/config.");
  for (const shown of state.connectors) {
    let connector = connectors.get(shown.name);
    if (!connector) {
      connector = new Connector(shown.name);
      connectors.set(shown.name, connector);
      page.append(connector.root);
    }
    connector.show(shown, state);
  }
  const troubled = state.connectors.map((shown) => [shown.name, ...condition(shown)]).find(([, level]) => level === "bad" || level === "careful");
  document.title = troubled ? `${troubled[0]}: ${troubled[2].toLowerCase()} – Headwater streamer` : "Headwater streamer";
  for (const [name, connector] of connectors) {
    if (!state.connectors.some((shown) => shown.name === name)) {
      connector.root.remove();
      connectors.delete(name);
    }
  }
});
