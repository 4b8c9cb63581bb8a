// Numbers with their units, for people.

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** `12,345`. */
export const count = (number) => WHOLE.format(number);

/** A number and a word that goes with it: `1 row`, `2 rows`. */
export const counted = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

const short = (number) => (number >= 100 ? number.toFixed(0) : number >= 10 ? number.toFixed(1) : number.toFixed(2)).replace(/\.0+$/, "");

/** Bytes: `12 B`, `3.4 MB`. */
export function bytes(number) {
  let [left, unit] = [number, "B"];
  for (const next of ["kB", "MB", "GB", "TB"]) {
    if (left < 1000) break;
    [left, unit] = [left / 1024, next];
  }
  return `${unit === "B" ? count(left) : short(left)} ${unit}`;
}

/** A rate: `0`, `0.4`, `12,345`. */
export const rate = (number) => (number > 0 && number < 10 ? number.toFixed(1) : count(number));

/** A large number in few letters: `12.3 k`. */
export function brief(number) {
  if (number < 10000) return rate(number);
  return number < 1e6 ? `${short(number / 1000)} k` : `${short(number / 1e6)} M`;
}

/** Seconds: `3 ms`, `1.2 s`, `4 min`, `3 h 5 min`, `2 d 3 h`. */
export function seconds(number) {
  if (number < 0.001) return "< 1 ms";
  if (number < 1) return `${Math.round(number * 1000)} ms`;
  if (number < 10) return `${Number.isInteger(number) ? number : number.toFixed(1)} s`;
  const whole = Math.round(number);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return whole < 600 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${Math.floor(whole / 60)} min`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** A moment of today: `14:03:12`. */
export const clock = (ms) => CLOCK.format(new Date(ms));

/** How fast a counter goes, by the program's clock, over about two seconds; a counter that began anew is 0. */
export class Rate {
  constructor() {
    this.samples = [];
  }

  at(ms, value) {
    const samples = this.samples;
    const last = samples.at(-1);
    if (last && (value < last.value || ms < last.ms)) samples.length = 0;
    if (!last || ms > last.ms) samples.push({ ms, value });
    while (samples.length > 2 && ms - samples[1].ms >= 1900) samples.shift();
    const first = samples[0];
    return ms - first.ms < 500 ? 0 : ((value - first.value) * 1000) / (ms - first.ms);
  }
}
