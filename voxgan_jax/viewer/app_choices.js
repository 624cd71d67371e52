// What the user says of a sherd: its unit, what is known of its pot.
import { $, ask, current, fixed, make, refill, say, told, trouble, unitNames, unitOf } from "./app_base.js";
import { pickRim } from "./app_stage.js";

// What is told of one sherd is not told of several that are restored together.
const OF_ONE_SHERD = ["axis", "rim", "base", "body"];
let of = null; // The number of the scan whose choices are shown, and to which they are sent.

const NUMBERS = ["height_mm", "diameter_mm", "voxel_mm"];

// Sizes are asked for in words that are read at once: 19 cm, not 190 mm.
function across(size) {
  const [value, unit] = size >= 1000 ? [size / 1000, "m"] : size >= 10 ? [size / 10, "cm"] : [size, "mm"];
  return `${fixed(value, value >= 10 ? 0 : unit === "m" ? 2 : 1)} ${unit}`;
}

function showUnits(scan) {
  const longest = Math.max(...scan.look.size);
  $("size_question").textContent = say("size_question", { size: across(longest * unitOf(scan)) });
  const units = [...unitNames];
  // A file may say a unit that is none of these.
  if (!units.some(([, size]) => size === scan.look.unit_mm)) units.unshift(["", scan.look.unit_mm]);
  refill($("units"), units.map(([name, unit]) => {
    const size = across(longest * unit);
    const button = make("button", { type: "button" }, make("strong", {}, name || say("unit_of_file")), ` ${size}`);
    button.dataset.unit = name;
    button.setAttribute("aria-pressed", String(unit === unitOf(scan)));
    button.addEventListener("click", () => choose({ unit: name || null }));
    return button;
  }));
}

function showBodies(scan) {
  const { bodies } = scan.look;
  $("which").hidden = bodies.length === 0;
  const named = (size) => size.map((side) => fixed(side * unitOf(scan), 0)).join(" × ");
  const options = [["", say("body_ask")], ["all", say("body_all")],
    ...bodies.map((size, i) => [String(i + 1), say("body_one", { number: i + 1, size: `${named(size)} mm` })])];
  const select = $("place").elements.body;
  if (document.activeElement === select) return;
  select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
}

// Other scans that are meshes can be of the same pot.
function showOthers(scan) {
  const meshes = told.state.scans.filter((other) => other.id !== scan.id && other.look?.mesh);
  const chosen = scan.choices.others ?? [];
  $("same_pot").hidden = meshes.length === 0 || !scan.look.mesh;
  refill($("others_list"), meshes.map((other) => {
    const box = make("input", { type: "checkbox", checked: chosen.includes(other.id) });
    box.dataset.other = other.id;
    box.addEventListener("change", async () => {
      const left = chosen.filter((number) => number !== other.id);
      const others = box.checked ? [...left, other.id] : left;
      if (!await choose({ others })) box.checked = !box.checked; // It was refused.
    });
    return make("label", { className: "check" }, box, other.name);
  }));
  $("pot_named").textContent = chosen.length ? say("pot_named", { name: scan.name }) : say("pot_named_first");
  showPots(scan);
}

// Of which pots of other sherds it is, as they are restored now.
function showPots(scan) {
  const has = (choices) => choices?.others?.includes(scan.id);
  const pots = told.state.scans.filter((other) => has(other.restored?.choices) || has(other.choices));
  refill($("part_of"), pots.map((other) => {
    const made = has(other.restored?.choices) && other.restored.report.sherds?.find(({ file }) => file === scan.file);
    const text = made ? made.move ? say("part_of") : say("part_aside") : say("part_chosen");
    const [before, after] = text.split("{name}");
    return make("p", { className: "note" }, before, make("a", { href: `#${other.id}` }, other.name), after);
  }));
}

export function showChoices(scan) {
  const { look, choices } = scan;
  if (of !== scan.id) {
    // What is typed just now is told of the scan for which it was begun.
    if ([...fields()].includes(document.activeElement)) document.activeElement.blur();
    of = scan.id;
  }
  for (const id of ["size", "place"]) $(id).hidden = !look;
  $("undo").disabled = !scan.undoable;
  if (!look) return;
  $("mesh_size").hidden = !look.mesh;
  $("voxel_size").hidden = look.mesh;
  for (const part of document.querySelectorAll(".of_mesh")) part.hidden = !look.mesh;
  if (look.mesh) showUnits(scan);
  showBodies(scan);
  showOthers(scan);
  $("notes").replaceChildren(...scan.notes.map((note) => make("p", { className: "note" }, note)));
  $("restore").disabled = Boolean(scan.step) || (look.bodies.length > 0 && !choices.body);
  const several = Boolean(choices.others?.length);
  const isPlaced = scan.choices.axis || scan.restored?.report.placement;
  const whyNot = several ? say("flip_several") : isPlaced ? "" : say("flip_unknown");
  $("flip").setAttribute("aria-disabled", String(Boolean(whyNot)));
  $("flip").title = whyNot;
  $("of_one").hidden = !several;
  for (const control of [$("by_rim"), ...OF_ONE_SHERD.map((name) => $("place").elements[name])]) {
    control.disabled = several;
    (control.closest("label") ?? control).title = several ? say("of_one") : "";
  }
  const values = { ...choices, axis: choices.axis?.join(", ") ?? "", hypotheses: choices.hypotheses ?? 0 };
  for (const field of fields()) {
    if (field === document.activeElement) continue; // It is being typed in.
    if (field.type === "checkbox") field.checked = Boolean(values[field.name]);
    else field.value = values[field.name] ?? "";
  }
}

function fields() {
  return document.querySelectorAll("#place [name], #voxel_size [name]");
}

// Send what is changed: other windows may have changed other choices.
function choose(changed) {
  return ask(`/scans/${of}/choices`, { choices: changed });
}

function typed(field) {
  if (field.type === "checkbox") return field.checked;
  const text = field.value.trim();
  if (!text) return null;
  if (field.name === "axis") return axisOf(text);
  if (field.name === "body") return text === "all" ? text : Number(text);
  return NUMBERS.includes(field.name) || field.name === "hypotheses" ? Number(text) : text;
}

// Three or six numbers; null where it cannot be told which are meant. Where blanks or semicolons are
// between them, commas are decimal ones; else they are between the numbers.
function axisOf(text) {
  const apart = text.replace(/\s*,\s+|\s+,/g, ";").split(/[;\s]+/).filter(Boolean);
  const parts = apart.length > 1 ? apart.map((part) => part.replace(",", ".")) : text.split(",");
  const whole = parts.every((part, i) => (i % 2 ? /^\d+$/ : /^[+-]?\d+$/).test(part));
  const both = apart.length === 1 && parts.length === 6 && whole; // 0,5,0,5,0,7
  const numbers = parts.map((part) => (part ? Number(part) : NaN));
  return [3, 6].includes(numbers.length) && numbers.every(Number.isFinite) && !both ? numbers : null;
}

export function chooseHere() {
  for (const field of fields()) {
    field.addEventListener("change", () => {
      const value = typed(field);
      if (field.validity.badInput) trouble(say("no_number"));
      else if (value === null && field.name === "axis" && field.value.trim()) trouble(say("axis_unclear"));
      else choose({ [field.name]: value });
    });
  }
  $("place").addEventListener("submit", (event) => event.preventDefault());
  $("by_rim").addEventListener("click", pickRim);
  // It can be pressed all the same, by keyboard and finger too, and then says why it does nothing.
  $("flip").addEventListener("click", ({ currentTarget }) => {
    if (currentTarget.title) trouble(currentTarget.title);
    else ask(`/scans/${of}/flip`);
  });
}

