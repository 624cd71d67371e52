// The picture to keep: what is seen, with its name, a scale bar, and what of it is inferred.
import { make, say } from "./app_base.js";

const [EDGE, LINE, SWATCH] = [28, 24, 22]; // Pixels: around all, from line to line, for a colour before its text.
const [PAPER, INK, FONT] = ["#fff", "#24221e", "16px system-ui, 'Liberation Sans', sans-serif"];

// What is seen of a pot, and in which colours: its switches that are on.
function legend() {
  const hasPot = document.querySelector("#switches [data-part=pot]").checked;
  return [...document.querySelectorAll("#switches label:has(.swatch):has(:checked)")]
    .filter((label) => hasPot || !label.querySelector("[data-label]"))
    .map((label) => ({ text: label.textContent, colour: label.querySelector(".swatch").style.background }));
}

// Where pieces of text stand that are set in lines of some width, and how high these are.
function flow(pen, pieces, width, gap) {
  let [x, y] = [0, 0];
  const set = pieces.map(({ text, colour }) => {
    const long = (colour ? SWATCH : 0) + pen.measureText(text).width;
    if (x > 0 && x + long > width) [x, y] = [0, y + LINE];
    const placed = { text, colour, x, y };
    x += long + gap;
    return placed;
  });
  return { set, high: pieces.length ? y + LINE : 0 };
}

function write(pen, { set }, top, width) {
  for (const { text, colour, x, y } of set) {
    if (colour) {
      pen.fillStyle = colour;
      pen.fillRect(EDGE + x, top + y + 2, 14, 14);
    }
    pen.fillStyle = INK;
    pen.fillText(text, EDGE + x + (colour ? SWATCH : 0), top + y, width);
  }
}

// Keeps what a canvas of the page shows; of a pot, but not of a scan, parts are a guess.
export function savePicture(shown, { name, kind }) {
  const paper = make("canvas");
  const pen = paper.getContext("2d");
  const ratio = shown.width / shown.clientWidth;
  const [wide, high] = [shown.clientWidth, shown.clientHeight];
  const room = wide - 2 * EDGE;
  const bar = document.querySelector("[data-scale]");
  const long = parseFloat(bar.style.width);
  const words = kind === "pot" ? say("picture_guess").split(" ").map((text) => ({ text })) : [];
  pen.font = FONT;
  const keys = flow(pen, kind === "pot" ? legend() : [], room, EDGE);
  const guess = flow(pen, words, room, pen.measureText(" ").width);
  const foot = 2 * EDGE + high;
  const all = foot + 2 * LINE + keys.high + guess.high + EDGE;
  Object.assign(paper, { width: wide * ratio, height: all * ratio }); // The pen begins anew.
  pen.scale(ratio, ratio);
  pen.fillStyle = PAPER;
  pen.fillRect(0, 0, wide, all);
  pen.drawImage(shown, 0, 2 * EDGE, wide, high);
  pen.fillStyle = INK;
  pen.textBaseline = "top";
  pen.font = `600 ${FONT.replace("16", "20")}`;
  pen.fillText(name, EDGE, EDGE, room);
  pen.font = FONT;
  pen.fillRect(EDGE, foot + LINE / 2 + 7, long, 3);
  pen.fillText(bar.textContent, EDGE + long + 10, foot + LINE / 2);
  write(pen, keys, foot + 2 * LINE, room);
  write(pen, guess, foot + 2 * LINE + keys.high, room);
  make("a", { href: paper.toDataURL("image/png"), download: `${name}_${kind}.png` }).click();
}
