// What the user says of a sherd: its unit, what is known of its pot.
import { $, current, fixed, make, onScan, say, trouble, unitNames, unitOf } from "./app_base.js";
import { pickRim } from "./app_stage.js";

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
  $("units").replaceChildren(...units.map(([name, unit]) => {
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

export function showChoices(scan) {
  const { look, choices } = scan;
  for (const id of ["size", "place"]) $(id).hidden = !look;
  $("undo").disabled = !scan.undoable;
  if (!look) return;
  $("mesh_size").hidden = !look.mesh;
  $("voxel_size").hidden = look.mesh;
  document.querySelector(".of_mesh").hidden = !look.mesh;
  if (look.mesh) showUnits(scan);
  showBodies(scan);
  $("notes").replaceChildren(...look.notes.map((note) => make("p", { className: "note" }, note)));
  $("restore").disabled = Boolean(scan.step) || (look.bodies.length > 0 && !choices.body);
  $("flip").disabled = !scan.restored?.report.placement;
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
  return onScan("choices", { choices: changed });
}

function typed(field) {
  if (field.type === "checkbox") return field.checked;
  const text = field.value.trim();
  if (!text) return null;
  if (field.name === "axis") return text.split(/[,;\s]+/).map(Number);
  if (field.name === "body") return text === "all" ? text : Number(text);
  return NUMBERS.includes(field.name) || field.name === "hypotheses" ? Number(text) : text;
}

export function chooseHere() {
  for (const field of fields()) {
    field.addEventListener("change", () => {
      if (field.validity.badInput) trouble(say("no_number"));
      else choose({ [field.name]: typed(field) });
    });
  }
  $("place").addEventListener("submit", (event) => event.preventDefault());
  $("by_rim").addEventListener("click", pickRim);
}

