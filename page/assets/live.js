// The events of the program: the state, and whether it still comes.

import { badge, say } from "./element.js";
import { seconds } from "./number.js";

/** After how long without a word it is said that there is none, in milliseconds. */
const SILENCE = 4000;

/** Calls `shown` with every state. */
export function listen(shown) {
  const connection = document.getElementById("connection");
  const page = document.getElementById("page");
  let heard = Date.now();
  const lost = () => {
    badge(connection, "bad", "Connection lost – trying again");
    page.setAttribute("aria-busy", "true");
  };
  const begin = () => {
    const source = new EventSource("/page/events");
    source.addEventListener("state", (event) => {
      heard = Date.now();
      badge(connection, "good", "Live");
      page.setAttribute("aria-busy", "false");
      const state = JSON.parse(event.data);
      const about = document.getElementById("about");
      say(about, `version ${state.version} · up ${seconds(Math.max(1, state.uptime))}`);
      shown(state, page);
    });
    source.onerror = () => {
      lost();
      // A browser gives up where the answer was an error, a proxy's for example.
      if (source.readyState === EventSource.CLOSED) setTimeout(begin, 2000);
    };
  };
  badge(connection, "wait", "Connecting");
  begin();
  setInterval(() => {
    if (Date.now() - heard > SILENCE) lost();
  }, 1000);
}

/** Asks the program for something; gives what it said against it, or `null`. */
export async function ask(method, path, body) {
  try {
    const answer = await fetch(path, {
      method,
      headers: body === undefined ? { Accept: "application/json" } : { Accept: "application/json", "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (answer.ok) return null;
    const said = await answer.json().catch(() => ({}));
    return said.message ?? `The answer was ${answer.status} ${answer.statusText}`;
  } catch {
    return "The program does not answer";
  }
}
