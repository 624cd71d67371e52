// The workbench of `voxgan app`: what the server tells is shown, what is done here is sent to it. The
// server keeps everything, so any number of pages show the same, and one that is loaded again, too.
import { $, ask, current, make, onScan, refill, say, told, trouble } from "./app_base.js";
import { chooseHere, showChoices } from "./app_choices.js";
import { listen } from "./app_events.js";
import { showResult } from "./app_result.js";
import { show, stageHere, stopPicking, toggleMeasure } from "./app_stage.js";

async function send(files) {
  const refused = [];
  for (const file of [...files]) { // A drop's own list is emptied.
    trouble(say("sending", { name: file.name }));
    const answer = await ask(`/scans?name=${encodeURIComponent(file.name)}`, undefined, { body: file });
    if (answer) location.hash = `#${(await answer.json()).id}`;
    else refused.push($("trouble").textContent);
  }
  if (refused.length) trouble(refused.join(" "));
}

function showList() {
  const here = current();
  refill($("sherds"), told.state.scans.map((scan) => {
    const button = make("button", { type: "button" }, scan.name);
    if (scan.step) button.append(make("span", { className: "busy", title: say(scan.step) }));
    if (scan === here) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => { location.hash = `#${scan.id}`; });
    return button;
  }));
}

let shown = null; // The number of the scan.
let turning = false; // To another language, by this window.
let stop = null; // { id, before, ended }: the scan and its pot when Stop was pressed here.
const whole = new Map(); // The last pot with files of each scan.

// What is done, or that it is being stopped; and for a while that it was.
function showProgress(scan) {
  if (stop?.id !== scan.id || (stop.ended && scan.step)) stop = null;
  if (stop && !stop.ended && !scan.step) {
    const mine = stop;
    stop.ended = true;
    if (JSON.stringify(scan.restored) !== stop.before || scan.fault) stop = null; // It had ended by itself.
    else setTimeout(() => { if (stop === mine) { stop = null; showAll(); } }, 5000);
  }
  const text = stop ? (stop.ended ? say("stopped") : say("stopping")) : scan.step && say(scan.step);
  $("progress").hidden = !text;
  $("progress").firstElementChild.textContent = text || "";
  $("stop").hidden = !scan.step;
  $("stop").disabled = Boolean(stop);
}

async function stopIt() {
  const { id } = current();
  stop = { id, before: JSON.stringify(whole.get(id) ?? null) };
  showAll();
  if (await onScan("stop")) return;
  stop = null; // Nobody answered.
  showAll();
}

function showAll() {
  const scan = current();
  if (scan?.id !== shown) stopPicking();
  shown = scan?.id;
  showList();
  $("project").textContent = told.state.project;
  $("welcome").hidden = told.state.scans.length > 0;
  $("bench").hidden = !scan;
  if (!scan) return;
  showProgress(scan);
  $("fault").hidden = !scan.fault;
  $("fault").textContent = scan.fault ?? "";
  const same = JSON.stringify(scan.restored?.choices) === JSON.stringify(scan.choices);
  $("before").hidden = Boolean(!scan.restored || scan.step || scan.fault || same);
  $("again").hidden = Boolean(scan.look || scan.step);
  showChoices(scan);
  showResult(scan);
  show(scan);
}

function hear(state) {
  if (!state) {
    trouble(say("lost"));
    return;
  }
  if ($("trouble").textContent === say("lost")) trouble("");
  if (state.language && state.language !== document.documentElement.lang && !turning) location.reload();
  told.state = state;
  for (const { id, first, restored } of state.scans) if (!first) whole.set(id, restored);
  showAll();
}

function takeDrops() {
  let inside = 0;
  const isFiles = (event) => event.dataTransfer?.types.includes("Files");
  const over = (change) => (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    inside = Math.max(0, inside + change);
    $("drop").hidden = inside === 0;
  };
  document.addEventListener("dragenter", over(1));
  document.addEventListener("dragleave", over(-1));
  document.addEventListener("dragover", over(0));
  document.addEventListener("drop", (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    inside = 0;
    $("drop").hidden = true;
    send(event.dataTransfer.files);
  });
}

async function main() {
  told.texts = await (await fetch("/texts")).json();
  $("choose").addEventListener("change", async (event) => {
    await send([...event.target.files]);
    event.target.value = "";
  });
  $("welcome").addEventListener("click", () => $("choose").click());
  $("language").addEventListener("change", async ({ target }) => {
    turning = true;
    if (!await ask("/language", { language: target.value })) { // It could not be kept: all stays as it is.
      target.value = document.documentElement.lang;
      turning = false;
      return;
    }
    if (current()?.restored) await onScan("restore"); // Its page and drawings, in this language.
    location.reload();
  });
  addEventListener("hashchange", showAll);
  takeDrops();
  chooseHere();
  stageHere();
  $("restore").addEventListener("click", () => onScan("restore"));
  $("undo").addEventListener("click", () => onScan("undo"));
  $("again").addEventListener("click", () => onScan("look"));
  $("stop").addEventListener("click", stopIt);
  $("measure").addEventListener("click", toggleMeasure);
  $("remove").addEventListener("click", () => {
    if (confirm(say("remove_sure", { name: current().name }))) {
      ask(`/scans/${current().id}`, undefined, { method: "DELETE" });
    }
  });
  $("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText($("command").textContent);
    $("copy").textContent = say("copied");
    setTimeout(() => { $("copy").textContent = say("copy"); }, 2000);
  });
  listen(hear);
}

main();
