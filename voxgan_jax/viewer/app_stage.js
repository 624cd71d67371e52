// The 3D view of what is on the bench, and what is clicked in it.
import { $, ask, current, fixed, make, mm, onScan, percent, say, unitOf } from "./app_base.js";
import { savePicture } from "./app_picture.js";
import { rimThrough } from "./app_rim.js";

const LABELS = { 1: "given", 2: "inferred", 3: "uncertain" };
const LESS = 0.05; // Of the expected overlap: so much less than before is told.
let kind = "scan"; // What is shown: the scan, or the restored pot.
let drawn = null; // The name and the kind of what is drawn.
let known = ""; // What is shown, told apart from what was shown before.
let last = ""; // Of which scan and which restored pot that is.
let early = ""; // Of which scan and which choices that is, as long as its files are still to come.
let view = null;
let stood = ""; // Of which scan and of what of it the view is.
let unit = "mm"; // Without a scale lengths are in voxels.
let picking = null; // { wanted, points, done, missed } while points are clicked.
let said = ""; // The line on the picture while none are.
let awaited = null; // { id, points, found, waits, begun }: a scan whose pot is to come, as its rim was clicked.
let rim = []; // Those points on the pot that came.
let kept = JSON.parse(sessionStorage.getItem("view")); // How it was looked at before the page was loaded anew.
const trusted = new Map(); // The expected overlap of the last pot of each scan.

// Lengths of a scan are in its file's unit; here all are mm.
function inMm(data, scan) {
  const factor = unitOf(scan);
  const times = (values) => values.map((value) => value * factor);
  return {
    ...data, scaled: data.scaled || Boolean(scan.choices.voxel_mm),
    centre: times(data.centre), radius: data.radius * factor, height: data.height * factor,
    parts: data.parts.map((part) => ({ ...part, low: times(part.low), step: times(part.step) })),
  };
}

function swatch(colour) {
  const made = make("span", { className: "swatch" });
  made.style.background = colour;
  return made;
}

function toggle(data, text, colour, checked) {
  const box = make("input", { type: "checkbox", checked, autocomplete: "off" });
  Object.assign(box.dataset, data);
  return make("label", {}, box, ...(colour ? [swatch(colour)] : []), text);
}

function slider(name, low, high, value) {
  const input = make("input", { type: "range", min: low, max: high, value, autocomplete: "off" });
  input.dataset[name] = "";
  const output = make("output");
  output.setAttribute("aria-hidden", "true");
  return make("label", { className: "slider" }, say(`slide_${name}`), input, output);
}

function partName(id) {
  const number = id.match(/\d+$/)?.[0];
  return number ? say("part_hypothesis", { number }) : say(`part_${id}`);
}

const key = (input) => JSON.stringify(input.dataset);
const were = new Map(); // The switches as they were last: a pot may lack a part of the one before.

function switched() {
  for (const input of $("switches").querySelectorAll("input")) were.set(key(input), [input.checked, input.value]);
  return [...were];
}

// Switches are read by the view when it begins: they are as they were in `before`.
function showSwitches(data, before) {
  const holder = $("switches");
  const old = new Map(before);
  const focused = holder.contains(document.activeElement) ? key(document.activeElement) : null;
  holder.replaceChildren(...switches(data));
  for (const input of holder.querySelectorAll("input")) {
    const [checked, value] = old.get(key(input)) ?? [input.checked, input.value];
    Object.assign(input, { checked, value });
    if (key(input) === focused) input.focus({ preventScroll: true });
  }
}

function switches(data) {
  const set = (title, all) => make("fieldset", { className: "switches" }, make("legend", {}, title), ...all);
  const cut = [
    toggle({ cut: "" }, say("cut_open"), null, false), toggle({ section: "" }, say("section_plane"), null, false),
    slider("depth", -100, 100, 0), slider("facing", -180, 180, 0),
  ];
  const isDyed = data.parts.some((part) => part.groups[0].colours);
  if (isDyed) cut.push(toggle({ dyed: "" }, say("scan_colours"), null, true));
  const light = set(say("light"), [slider("around", 0, 360, 126), slider("above", 5, 90, 49)]);
  if (kind === "scan") {
    const only = toggle({ part: "pot" }, say("part_original"), null, true);
    only.hidden = true;
    return [set(say("view"), [...cut, only]), light];
  }
  const parts = data.parts.map((part, i) => (
    toggle({ part: part.id }, partName(part.id), i ? part.groups[0].colour : null, i === 0)
  ));
  const labels = data.parts[0].groups.map((group) => (
    toggle({ label: group.label }, say(`label_${LABELS[group.label]}`), group.colour, true)
  ));
  const note = make("p", { className: "note" }, say("uncertain_note"));
  note.hidden = !data.parts[0].groups.some((group) => LABELS[group.label] === "uncertain");
  const axis = toggle({ axis: "" }, say("show_axis"), null, true);
  // First what has sliders, so that they are seen beside the picture that they change.
  return [set(say("view"), [axis, ...cut]), set(say("show"), parts), set(say("of_the_pot"), labels), note, light];
}

export async function show(scan) {
  const which = JSON.stringify([scan.id, scan.restored]);
  const made = JSON.stringify([scan.id, scan.restored?.choices]);
  if (which !== last && made === early && !scan.first) last = which; // All that is told of it was told.
  early = scan.first ? made : "";
  if (which !== last) {
    const isNew = last && JSON.parse(last)[0] === scan.id && scan.restored;
    last = which;
    // It has just come, or another scan is shown.
    if (!picking) kind = kept?.stood === `${scan.id} scan` ? "scan" : "pot";
    tell([isNew ? cameOf(scan) : "", lessSure(scan)].filter(Boolean).join(" "), 20);
    const origin = scan.restored?.report.scan?.origin_mm ?? [0, 0, 0];
    rim = awaited?.id === scan.id ? awaited.points.map((point) => point.map((value, i) => value - origin[i])) : [];
    awaited = null;
  }
  if (awaited?.waits && (awaited.begun || scan.fault) && !scan.step) rimOnly(); // It was stopped, or could not be.
  if (awaited && scan.step) awaited.begun = true;
  if (!scan.restored) kind = "scan";
  for (const button of document.querySelectorAll("[data-kind]")) {
    const isPot = button.dataset.kind === "pot";
    button.disabled = isPot ? !scan.restored : !scan.look;
    button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
    button.onclick = () => { stopPicking(); turnTo(button.dataset.kind); };
  }
  const wanted = JSON.stringify(kind === "pot" ? [kind, which] : [kind, scan.id, scan.look, scan.look && unitOf(scan)]);
  if (wanted === known) {
    if (!scan.step) view?.axisBack(); // What it was moved to has come to nothing.
    return;
  }
  known = wanted;
  $("picture").disabled = $("viewer").dataset.shown !== wanted;
  if ($("viewer").dataset.shown === wanted) return; // Another was wanted meanwhile, but has not come.
  $("viewer").hidden = !scan.look;
  if (!scan.look) {
    view?.close(); // What is there is of another scan.
    view = null;
    stood = "";
    delete $("viewer").dataset.shown;
    $("switches").replaceChildren();
    return;
  }
  const answer = await fetch(`/scans/${scan.id}/view/${kind === "pot" && scan.first ? "first" : kind}`).catch(() => null);
  if (wanted !== known) return;
  if (!answer?.ok) {
    known = ""; // The next time that something is told it is asked for again.
    return;
  }
  const told = await answer.json();
  if (wanted !== known) return;
  const data = kind === "scan" ? inMm(told, scan) : told;
  const stands = `${scan.id} ${kind}`;
  if (stood !== stands) were.clear();
  const before = stood === stands ? { at: kind === "pot" ? view?.at() : undefined, switches: switched() } : null;
  const { at: from, switches: set } = before ?? (kept?.stood === stands ? kept : {});
  kept = null;
  view?.close();
  unit = data.scaled ? "mm" : say("voxels");
  showSwitches(data, set);
  const canTurn = kind === "pot" && scan.restored.report.placement && !scan.choices.others?.length;
  const turnedTo = canTurn ? (ends) => axisAt(scan, ends) : null;
  view = globalThis.voxganView.show($("viewer"), data, { clicked, cross: $("cross"), turnedTo, from, passed });
  stood = stands;
  drawn = { name: scan.name, kind };
  if (picking) picking.points = []; // They were of what was shown before.
  showPicked();
  $("distance").textContent = "";
  $("viewer").dataset.shown = wanted;
  $("picture").disabled = false;
}

// The axis was moved: its direction, and a point of it in the file's own coordinates, in mm.
function axisAt(scan, [low, high]) {
  const origin = scan.restored.report.scan?.origin_mm ?? [0, 0, 0];
  const along = high.map((value, i) => value - low[i]);
  const length = Math.hypot(...along);
  const middle = low.map((value, i) => (value + high[i]) / 2 + origin[i]);
  ask(`/scans/${scan.id}/choices`, { choices: { axis: [...along.map((value) => value / length), ...middle] } });
}

function turnTo(which) {
  kind = which;
  show(current());
}

// A line on the picture, as long as nothing is asked there; where seconds are told, so long.
function tell(text, seconds = 0) {
  said = text;
  showPicked();
  if (seconds && text) setTimeout(() => { if (said === text) tell(""); }, 1000 * seconds);
}

// What is told of a pot that has just come.
function cameOf({ id, restored: { report: { rim: its, measures } } }) {
  if (awaited?.id !== id || !its || measures.rim_diameter_mm === null) return say("pot_came");
  return say("rim_restored", { diameter: mm(measures.rim_diameter_mm), share: percent(its.percent / 100) });
}

// A change can make a pot worse, which its looks do not tell.
function lessSure({ id, undoable, restored }) {
  const [before, now] = [trusted.get(id), restored?.report.confidence?.expected_iou];
  trusted.set(id, now);
  if (!undoable || !(now < before - LESS)) return "";
  return say("less_sure", { now: fixed(now, 2), before: fixed(before, 2) });
}

// Of a rim that was clicked it is still told what was found; no pot comes of it by itself.
function rimOnly() {
  tell(awaited.found);
  awaited.waits = false;
}

// Once in each browser it is told why the wheel scrolls the page and does not zoom.
function passed() {
  if (picking || said || localStorage.getItem("wheel")) return;
  localStorage.setItem("wheel", "told");
  tell(say("wheel"), 8);
}

// Points are clicked.

function clicked(point) {
  if (!picking || $("viewer").dataset.shown !== known) return; // Else it is of what is leaving.
  if (picking.points.length === picking.wanted) picking.points = [];
  picking.missed = !point;
  if (point) picking.points.push(point);
  showPicked();
  if (picking.points.length === picking.wanted) picking.done(picking.points);
}

function showPicked() {
  view?.mark(picking?.points ?? (kind === "pot" ? rim : []), Boolean(picking?.joined));
  $("cross").hidden = !picking;
  $("hint").parentElement.classList.toggle("picking", Boolean(picking));
  const asked = picking && say(picking.hint, { left: picking.wanted - picking.points.length });
  const line = picking?.missed ? `${say("hint_missed")} ${asked}` : asked ?? said;
  $("hint").hidden = !line;
  if ($("hint").textContent !== line) $("hint").textContent = line;
  $("measure").setAttribute("aria-pressed", String(picking?.hint === "hint_measure"));
  $("by_rim").setAttribute("aria-pressed", String(picking?.hint === "hint_rim"));
}

function pick(told) {
  stopPicking();
  picking = { ...told, points: [] };
  said = "";
  $("cross").style.left = "50%";
  $("cross").style.top = "50%";
  showPicked();
  document.querySelector("#viewer canvas").focus({ preventScroll: true });
  document.querySelector("#viewer .stage").scrollIntoView({ block: "nearest" });
}

export function stopPicking() {
  picking = null;
  $("distance").textContent = "";
  showPicked();
}

export function toggleMeasure() {
  if (picking?.hint === "hint_measure") {
    stopPicking();
    return;
  }
  pick({
    wanted: 2, hint: "hint_measure", joined: true,
    done: ([a, b]) => {
      const apart = mm(Math.hypot(...a.map((value, i) => value - b[i])));
      $("distance").textContent = apart.replace("mm", unit);
    },
  });
}

export function pickRim() {
  if (picking?.hint === "hint_rim") {
    stopPicking();
    return;
  }
  turnTo("scan");
  pick({
    wanted: 3, hint: "hint_rim",
    done: async (points) => {
      const scan = current();
      const factor = unitOf(scan);
      stopPicking();
      const taken = await onScan("rim", { points: points.map((point) => point.map((value) => value / factor)) });
      if (current()?.id !== scan.id) return;
      if (!taken) {
        tell($("trouble").textContent);
        return;
      }
      const { diameter, share } = rimThrough(points);
      const found = say("rim_found", { diameter: mm(diameter), share: percent(share) });
      const can = scan.look.bodies.length === 0 || scan.choices.body;
      awaited = can ? { id: scan.id, points, found, waits: true } : null;
      tell(can ? `${found} ${say("rim_restoring")}` : found);
      // One that was restored before is so anew by itself.
      if (can && !scan.restored && !await onScan("restore") && awaited?.id === scan.id) rimOnly();
    },
  });
}

export function stageHere() {
  $("picture").addEventListener("click", () => {
    view?.picture((canvas) => savePicture(canvas, drawn));
  });
  $("full").addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else $("viewer").requestFullscreen();
  });
  addEventListener("keydown", (event) => { if (event.key === "Escape") stopPicking(); });
  addEventListener("pagehide", () => {
    sessionStorage.setItem("view", JSON.stringify(view && { stood, at: view.at(), switches: switched() }));
  });
}
