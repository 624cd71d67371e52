// Buttons over the picture by which an axis is moved: at its two ends, which turn it about the other,
// and in its middle, which takes all of it along. By mouse, by finger, and by arrow keys.

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STEP = 4; // Pixels an arrow key moves; with Shift one.
const REST = 900; // Milliseconds after the last key until what was moved is told.

// `shift` moves what a button is for by pixels, `back` undoes all of it, `told` hears that it is done.
export function handles(buttons, { shift, back, told, signal }) {
  let moved = false;
  let held = null;
  let rest = 0;
  const done = () => {
    clearTimeout(rest);
    held = null;
    if (moved) told();
    moved = false;
  };
  for (const button of buttons) {
    const on = (name, act) => button.addEventListener(name, act, { signal });
    on("pointerdown", (event) => {
      button.setPointerCapture(event.pointerId);
      held = { x: event.clientX, y: event.clientY };
    });
    on("pointermove", (event) => {
      if (!held) return;
      const [dx, dy] = [event.clientX - held.x, event.clientY - held.y];
      if (!moved && Math.hypot(dx, dy) < 3) return;
      shift(button.dataset.handle, dx, dy);
      held = { x: event.clientX, y: event.clientY };
      moved = true;
    });
    on("pointerup", done);
    on("pointercancel", () => { moved = false; back(); done(); });
    on("keydown", (event) => {
      if (event.key === "Escape" && (moved || held)) {
        moved = false;
        back();
        done();
      } else if (event.key === "Enter" && moved) done();
      else if (KEYS[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        const step = event.shiftKey ? 1 : STEP;
        shift(button.dataset.handle, ...KEYS[event.key].map((sign) => sign * step));
        moved = true;
        clearTimeout(rest);
        rest = setTimeout(done, REST);
      }
    });
    on("blur", done);
  }
  signal.addEventListener("abort", () => clearTimeout(rest));
  // Whether something is being moved.
  return () => moved || held !== null;
}
