// What came of a sherd: measures, trust, other places, files.
import { $, fixed, make, mm, onScan, percent, refill, say } from "./app_base.js";

const LENGTHS = ["height_mm", "rim_diameter_mm", "max_diameter_mm", "base_diameter_mm", "wall_mm"];
// How names of files end, what is a part of another behind it.
const ENDS = ["missing_upright.stl", "completed.vox", "completed.stl", "completed.glb", "missing.stl", "section.svg",
  "section.pdf", "html", "json", "stl"];
// What most take away, in this order; each of these has a plain name.
const FIRST = ["section.pdf", "completed.stl", "missing.stl", "html"];
const LEAST = 0.01; // A place that is less likely is not offered.
const VOLUMES = ["volume_ml", "capacity_ml"];

function volume(ml) {
  return ml >= 1000 ? `${fixed(ml / 1000, 2)} l` : `${fixed(ml, ml >= 100 ? 0 : 1)} ml`;
}

// Without a scale a voxel was taken as 1 mm.
function length(report, value) {
  return report.scale === "given" ? mm(value) : mm(value).replace("mm", say("voxels"));
}

function measures(report) {
  const found = report.measures;
  const rows = LENGTHS.filter((name) => found[name] !== null)
    .map((name) => [say(`measure_${name}`), length(report, found[name])]);
  if (report.scale === "given") {
    rows.push(...VOLUMES.filter((name) => found[name] !== null)
      .map((name) => [say(`measure_${name}`), volume(found[name])]));
  }
  return rows.map(([title, text]) => make("div", {}, make("dt", {}, title), make("dd", {}, text)));
}

function place(found, number) {
  const text = say("place", {
    height: mm(found.height_mm), width: mm(found.diameter_mm),
    above: mm(found.above_base_mm), share: percent(found.confidence),
  });
  const button = make("button", { type: "button" }, say("take"));
  button.setAttribute("aria-label", `${say("take")}: ${text}`);
  button.addEventListener("click", () => onScan("take", { place: number }));
  return make("li", {}, text, " ", button);
}

function hypothesis(report, other) {
  const sizes = ["height_mm", "rim_diameter_mm"].filter((name) => other.measures[name] !== null)
    .map((name) => `${say(`measure_${name}`)} ${length(report, other.measures[name])}`);
  return make("li", {}, [...sizes, say("likelihood", { share: percent(other.share) })].join(", "));
}

const ending = (name) => ENDS.find((known) => name.endsWith(known));

function file(scan, name) {
  const key = ending(name).replace(/\W/g, "_");
  const title = FIRST.includes(ending(name)) ? say(`plain_${key}`) : name;
  const link = make("a", { href: `/scans/${scan.id}/files/${encodeURIComponent(name)}`, download: name }, title);
  return make("li", {}, link, make("span", {}, say(`file_${key}`)));
}

function showFiles(scan, names) {
  const first = FIRST.flatMap((end) => names.filter((name) => ending(name) === end));
  const fill = (id, some) => $(id).replaceChildren(...some.map((name) => file(scan, name)));
  fill("file_list", first);
  fill("more_files", names.filter((name) => !first.includes(name)));
}

let known = "";

export function showResult(scan) {
  const { restored } = scan;
  $("result").hidden = !restored;
  for (const id of ["files", "section"]) $(id).hidden = !restored || scan.first;
  const loose = scan.loose.join(" ");
  if ($("loose").textContent !== loose) $("loose").textContent = loose;
  const lang = restored?.report.options?.lang;
  $("in_other").hidden = !lang || lang === document.documentElement.lang;
  $("command").textContent = scan.command;
  const now = JSON.stringify([scan.id, restored, scan.warnings]);
  if (!restored || now === known) return;
  known = now;
  const { report } = restored;
  $("statement").textContent = say("statement", { share: percent(report.share_inferred) });
  const warning = (text) => make("p", { className: "note warning" }, text);
  $("warnings").replaceChildren(...scan.warnings.map(warning));
  $("measures").replaceChildren(...measures(report));
  const sure = report.confidence;
  $("trust").textContent = sure
    ? say("trust", { word: say(`word_${sure.word}`), overlap: fixed(sure.expected_iou, 2) }) : say("trust_unknown");
  const places = (report.placement?.runner_ups ?? []).map((found, i) => [found, i]);
  const likely = places.filter(([{ confidence }]) => confidence >= LEAST);
  $("others").hidden = likely.length === 0;
  refill($("runner_ups"), likely.map(([found, i]) => place(found, i)));
  $("answers").hidden = report.hypotheses.length === 0;
  $("hypotheses_list").replaceChildren(...report.hypotheses.map((other) => hypothesis(report, other)));
  if (scan.first) return;
  showFiles(scan, restored.files);
  $("all").href = `/scans/${scan.id}/all`;
  // The address is the same for another drawing.
  $("drawing").src = `/scans/${scan.id}/drawing?${known.length}${Date.now()}`;
}
