// What the scripts of the workbench share: the server, the texts, the scan that is shown.

export const $ = (id) => document.getElementById(id);

// What the server told last, and the texts of the user's language.
export const told = { state: { scans: [] }, texts: {} };

// A text of the user's language, with what stands for {names} in it; a name without a value stays.
export function say(key, values = {}) {
  return told.texts[key].replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

export function make(tag, properties = {}, ...inside) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...inside);
  return made;
}

// Other children for those of an element; where one of them has the focus, the next in its place has it.
export function refill(holder, children) {
  const at = [...holder.children].findIndex((child) => child.contains(document.activeElement));
  holder.replaceChildren(...children);
  const next = holder.children[at];
  (next?.matches("button") ? next : next?.querySelector("button, input, a"))?.focus({ preventScroll: true });
}

const UNITS = { mm: 1, cm: 10, m: 1000, in: 25.4 };

// How many mm one of the units of a scan's file is.
export function unitOf(scan) {
  return UNITS[scan.choices.unit] ?? scan.choices.voxel_mm ?? scan.look.unit_mm;
}

export const unitNames = Object.entries(UNITS);

// A number as the user's language writes it.
export function fixed(value, digits) {
  const how = { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false };
  return value.toLocaleString(document.documentElement.lang, how);
}

// A length in mm with three digits at most.
export function mm(value) {
  return `${fixed(value, Math.abs(value) >= 100 ? 0 : 1)} mm`;
}

export function percent(share) {
  const whole = Math.round(100 * share);
  if (whole === 0 && share > 0) return "< 1 %";
  return whole === 100 && share < 1 ? "> 99 %" : `${whole} %`;
}

export function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

// Ask the server; what it refuses is shown.
export async function ask(path, body, how = {}) {
  try {
    const answer = await fetch(path, {
      method: "POST", body: body === undefined ? null : JSON.stringify(body), ...how,
    });
    if (answer.ok) {
      trouble("");
      return answer;
    }
    const said = await answer.text();
    try { trouble(JSON.parse(said).fault); } catch { trouble(said || say("lost")); }
  } catch {
    trouble(say("lost"));
  }
  return null;
}

// The scan that this page shows: its number is in the address.
export function current() {
  return told.state.scans.find((scan) => `#${scan.id}` === location.hash) ?? told.state.scans.at(-1);
}

export const onScan = (deed, body) => ask(`/scans/${current().id}/${deed}`, body);
