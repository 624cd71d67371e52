// The 3D view of a restored pot: a turntable with switches. On its page what it shows lies there as
// JSON (report/scene.py), lengths in mm, and it asks the network for nothing; `voxgan app` has it show
// one thing after another, tells it `axis`, and is told where it was clicked.
import {
  BufferAttribute, BufferGeometry, Color, DoubleSide, FrontSide, Group, MathUtils, Matrix4, Mesh,
  MeshLambertMaterial, OrthographicCamera, Scene, SRGBColorSpace, Vector3, WebGLRenderer,
} from "three";
import { addCaps, cuts } from "./cuts.js";
import { handles } from "./handles.js";
import { dragged, LAMP, lights, LOWEST } from "./light.js";
import { marks } from "./marks.js";

const START = { turn: 0, tilt: 0.24, zoom: 1 };
const STEP = Math.PI / 18;
// So far right of the middle the sherd's middle is shown.
const SHERD = (40 * Math.PI) / 180;
const NEAR = 12; // A click so many pixels beside what is shown takes its edge.
const PICTURE = 2400; // Pixels, at least so wide is a picture to keep.
const MARGIN = 48; // Pixels above and below the pot; the buttons take those below.

function bytes(text) {
  const binary = atob(text);
  const data = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) data[i] = binary.charCodeAt(i);
  return data.buffer;
}

// The colours of corners, which are sRGB, as three takes them.
function dyes(values) {
  const linear = new Float32Array(values.length);
  const colour = new Color();
  for (let i = 0; i < values.length; i += 3) {
    colour.setRGB(values[i] / 255, values[i + 1] / 255, values[i + 2] / 255, SRGBColorSpace).toArray(linear, i);
  }
  return new BufferAttribute(linear, 3);
}

// One geometry for each label of a part; they share their corners, so that no seam is shaded.
function geometries(part) {
  const whole = new Uint16Array(bytes(part.corners));
  const corners = new Float32Array(whole.length);
  for (let i = 0; i < whole.length; i++) corners[i] = part.low[i % 3] + whole[i] * part.step[i % 3];
  const lists = part.groups.map((group) => {
    const data = bytes(group.faces);
    return group.wide ? new Uint32Array(data) : new Uint16Array(data);
  });
  const all = new Uint32Array(lists.reduce((sum, list) => sum + list.length, 0));
  lists.reduce((start, list) => (all.set(list, start), start + list.length), 0);
  const joined = new BufferGeometry();
  joined.setAttribute("position", new BufferAttribute(corners, 3));
  joined.setIndex(new BufferAttribute(all, 1));
  joined.computeVertexNormals();
  return lists.map((list, index) => {
    const geometry = new BufferGeometry();
    const { colours } = part.groups[index];
    if (colours) geometry.setAttribute("color", dyes(new Uint8Array(bytes(colours))));
    geometry.setAttribute("position", joined.getAttribute("position"));
    geometry.setAttribute("normal", joined.getAttribute("normal"));
    geometry.setIndex(new BufferAttribute(list, 1));
    return geometry;
  });
}

// Each part: a lit skin for each label, and where its corners are once the pot stands (`upright`).
function build(part, standing) {
  const group = new Group();
  group.name = part.id;
  const all = geometries(part);
  all.forEach((geometry, index) => {
    const { colour, label } = part.groups[index];
    const skin = new Mesh(geometry, new MeshLambertMaterial({ color: colour, clipIntersection: true }));
    skin.userData = { label, colour, closed: part.closed };
    group.add(skin);
  });
  const corners = all[0].getAttribute("position").clone().applyMatrix4(standing).array;
  // In a full turn each corner runs round a ring, of this height and radius.
  const rings = [];
  for (let i = 0; i < corners.length; i += 3) rings.push([corners[i + 1], Math.hypot(corners[i], corners[i + 2])]);
  group.userData = { part, corners, rings };
  return group;
}

// Rows of a rotation that stands the pot upright and turns its sherd to the right of the front.
function upright(data) {
  const up = new Vector3(...data.up);
  const sherd = new Vector3(...data.front);
  const side = new Vector3().crossVectors(up, sherd);
  const front = sherd.clone().multiplyScalar(Math.cos(SHERD)).addScaledVector(side, -Math.sin(SHERD));
  const right = new Vector3().crossVectors(up, front);
  const turned = new Matrix4().makeBasis(right, up, front).transpose();
  return turned.multiply(new Matrix4().makeTranslation(...data.centre.map((value) => -value)));
}

// What is shown and how it is looked at from then on. `clicked` is told a point in mm, null beside the
// pot; with it the keyboard moves a cross, an element of the stage, by Shift and arrows. `turnedTo` is
// told the ends of the axis when it was moved by the stage's handles; `from` is how it is looked at first;
// `passed` is told when the wheel scrolled the page over a view that was not clicked.
function start(root, data, { clicked = null, cross = null, turnedTo = null, from = {}, passed = null } = {}) {
  const leaving = new AbortController();
  const { signal } = leaving;
  const canvas = root.querySelector("canvas");
  const renderer = new WebGLRenderer({ canvas, alpha: true, antialias: true, preserveDrawingBuffer: true });
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  renderer.setPixelRatio(ratio);
  renderer.localClippingEnabled = true;
  const scene = new Scene();
  const camera = new OrthographicCamera(-1, 1, 1, -1, 0.1, 10);
  const pot = new Group();
  pot.matrixAutoUpdate = false;
  pot.matrix.copy(upright(data));
  for (const part of data.parts) pot.add(build(part, pot.matrix));
  const shine = lights(scene, camera);
  const marked = marks(pot, data.axis);
  scene.add(pot, marked.group, camera);
  const reaches = Math.max(...pot.children[0].userData.rings.map(([, radius]) => radius));
  const ways = cuts(reaches);
  const at = { ...START, lamp: { ...LAMP }, ...from };
  const box = (name) => root.querySelector(`input[data-${name}]`);
  const boxes = [...root.querySelectorAll("input[type=checkbox]")];
  const sliders = [...root.querySelectorAll("input[type=range]")];
  const grips = turnedTo && data.axis ? [...root.querySelectorAll("[data-handle]")] : [];
  for (const grip of root.querySelectorAll("[data-handle]")) grip.hidden = true;
  const bar = root.querySelector("[data-scale]");
  let waiting = false;

  function dress() {
    const shown = new Map(boxes.filter((b) => b.dataset.part).map((b) => [b.dataset.part, b.checked]));
    const labels = new Map(boxes.filter((b) => b.dataset.label).map((b) => [b.dataset.label, b.checked]));
    const several = [...shown.values()].filter(Boolean).length > 1;
    const cut = ways[Object.keys(ways).find((name) => box(name)?.checked)];
    const axis = box("axis")?.checked ?? false;
    marked.showAxis(axis);
    for (const grip of grips) grip.hidden = !axis;
    for (const part of pot.children) {
      part.visible = shown.get(part.name) ?? false;
      const isPot = part.name === "pot";
      // What can enclose another part lets that be seen through it.
      const ghost = several && (isPot || part.name.startsWith("hypothesis"));
      const partial = isPot && [...labels.values()].includes(false);
      if (part.visible && cut && !ghost) addCaps(part, cut, pot.matrix);
      for (const mesh of part.children) {
        const on = !isPot || (labels.get(String(mesh.userData.label)) ?? true);
        const whole = mesh.userData.closed && !partial;
        const material = mesh.material;
        mesh.visible = on && !(mesh.userData.cap && (ghost || !cut));
        mesh.renderOrder = ghost ? 1 : 0;
        if (mesh.userData.cap) continue;
        const dyed = mesh.geometry.hasAttribute("color") && (box("dyed")?.checked ?? false);
        material.vertexColors = dyed;
        material.color.set(dyed ? 0xffffff : mesh.userData.colour);
        material.clippingPlanes = cut?.planes ?? [];
        material.side = whole ? FrontSide : DoubleSide;
        material.transparent = ghost;
        material.opacity = ghost ? 0.24 : 1;
        material.depthWrite = !ghost;
        // Behind a solid part that has the same surface.
        material.polygonOffset = ghost;
        material.polygonOffsetFactor = material.polygonOffsetUnits = 2;
        material.needsUpdate = true;
      }
    }
  }

  const length = (mm) => (data.scaled === false ? `${mm} voxels` : `${mm} mm`);
  const slid = (name) => Number(box(name)?.value ?? 0);

  // What the sliders say is done, and told in words beside them.
  function slide() {
    if (box("section")) {
      const depth = Math.round(slid("depth") * reaches / 10) / 10;
      // Not turned, it goes through the axis and the sherd.
      ways.section.put(depth, SHERD - Math.PI / 2 + MathUtils.degToRad(slid("facing")));
      for (const name of ["depth", "facing"]) box(name).parentElement.hidden = !box("section").checked;
      say("depth", length(depth));
      say("facing", `${slid("facing")}°`);
    }
    shine(at.lamp);
    for (const name of ["around", "above"]) {
      if (!box(name)) continue;
      box(name).value = at.lamp[name];
      say(name, `${Math.round(at.lamp[name])}°`);
    }
  }

  function say(name, text) {
    const shown = text.replace("-", "−");
    box(name).nextElementSibling.textContent = shown;
    box(name).setAttribute("aria-valuetext", shown);
  }

  // How far what is shown reaches in a full turn: up, down and to either side. The original and the
  // missing piece stay where the pot has them.
  function reach() {
    const other = (part) => part.name.startsWith("hypothesis");
    const shown = pot.children.filter((part) => part.visible);
    const framed = shown.filter(other);
    if (framed.length === shown.length && framed.length > 0) return span(framed);
    return span([pot.children[0], ...framed]);
  }

  function span(parts) {
    const [cosine, sine] = [Math.cos(at.tilt), Math.abs(Math.sin(at.tilt))];
    let [high, low, wide] = [-Infinity, Infinity, 0];
    for (const part of parts) {
      for (const [rise, radius] of part.userData.rings) {
        high = Math.max(high, rise * cosine + radius * sine);
        low = Math.min(low, rise * cosine - radius * sine);
        wide = Math.max(wide, radius);
      }
    }
    return { high, low, wide };
  }

  function aim() {
    const width = canvas.clientWidth || 1;
    const height = canvas.clientHeight || 1;
    const { high, low, wide } = reach();
    const pixel = Math.max((2.16 * wide) / width, (high - low) / (height - 2 * MARGIN)) / at.zoom;
    const middle = (high + low) / 2;
    const far = 4 * (wide + high - low);
    Object.assign(camera, {
      left: -width / 2 * pixel, right: width / 2 * pixel,
      top: height / 2 * pixel + middle, bottom: -height / 2 * pixel + middle, near: 0, far: 2 * far,
    });
    camera.position.set(
      far * Math.sin(-at.turn) * Math.cos(at.tilt), far * Math.sin(at.tilt),
      far * Math.cos(at.turn) * Math.cos(at.tilt),
    );
    camera.lookAt(0, 0, 0);
    camera.updateProjectionMatrix();
    camera.updateMatrixWorld();
    at.pixel = pixel;
    marked.size(pixel);
    const target = 140 * pixel;
    const decade = 10 ** Math.floor(Math.log10(target));
    const long = decade * [5, 2, 1].find((size) => size * decade <= target);
    bar.style.width = `${long / pixel}px`;
    // Without a scale one voxel was taken as 1 mm.
    bar.firstElementChild.textContent = data.scaled !== false && long >= 10 ? `${long / 10} cm` : length(long);
    for (const grip of grips) {
      const seen = marked.grip(grip.dataset.handle).project(camera);
      // Never out of the picture, where nobody could take hold of it.
      grip.style.left = `${limit((seen.x + 1) / 2 * width, 14, width - 14)}px`;
      grip.style.top = `${limit((1 - seen.y) / 2 * height, 14, height - 14)}px`;
    }
    if (canvas.width !== Math.floor(width * renderer.getPixelRatio())
      || canvas.height !== Math.floor(height * renderer.getPixelRatio())) {
      renderer.setSize(width, height, false);
    }
  }

  function draw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      if (signal.aborted) return; // Asked for before it was closed.
      waiting = false;
      aim();
      renderer.render(scene, camera);
    });
  }

  const limit = (value, low, high) => Math.min(high, Math.max(low, value));
  const acts = {
    left: () => { at.turn -= STEP; },
    right: () => { at.turn += STEP; },
    up: () => { at.tilt = limit(at.tilt + STEP, -1.5, 1.5); },
    down: () => { at.tilt = limit(at.tilt - STEP, -1.5, 1.5); },
    in: () => { at.zoom = limit(at.zoom * 1.2, 0.5, 12); },
    out: () => { at.zoom = limit(at.zoom / 1.2, 0.5, 12); },
    reset: () => { Object.assign(at, START, { lamp: { ...LAMP } }); slide(); },
    front: () => { Object.assign(at, { turn: 0, tilt: 0, zoom: 1 }); },
    side: () => { Object.assign(at, { turn: Math.PI / 2, tilt: 0, zoom: 1 }); },
    top: () => { Object.assign(at, { turn: 0, tilt: Math.PI / 2 - 1e-3, zoom: 1 }); },
  };
  // With Shift the arrows lead the light, as they else turn the pot; the plane of a section follows the
  // page keys, with Shift it turns.
  const lead = { ArrowLeft: [15, 0], ArrowRight: [-15, 0], ArrowUp: [0, 5], ArrowDown: [0, -5] };
  function leadLight([around, above]) {
    const lamp = at.lamp;
    at.lamp = {
      around: MathUtils.euclideanModulo(lamp.around + around, 360), above: limit(lamp.above + above, LOWEST, 90),
    };
    slide();
    draw();
  }
  function movePlane(key, turned) {
    const slider = box(turned ? "facing" : "depth");
    slider.value = Number(slider.value) + (key === "PageUp" ? 5 : -5);
    slider.dispatchEvent(new Event("input"));
  }
  const keys = {
    ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down",
    "+": "in", "=": "in", "-": "out", Home: "reset", 0: "reset",
  };
  const act = (name) => { acts[name](); draw(); };
  // What is clicked, or the nearest within reach beside it; looked for in rings, the inner ones first.
  function click(x, y) {
    if (!clicked) return;
    const frame = canvas.getBoundingClientRect();
    camera.updateMatrixWorld();
    const hit = (right, down) => marked.hit(
      camera, 2 * (x + right - frame.left) / frame.width - 1, 1 - 2 * (y + down - frame.top) / frame.height,
    );
    let found = hit(0, 0);
    for (let away = 2; !found && away <= NEAR; away += 2) {
      for (let turn = 0; !found && turn < 2 * Math.PI; turn += Math.PI / 8) {
        found = hit(away * Math.cos(turn), away * Math.sin(turn));
      }
    }
    clicked(found);
  }
  function move(key) {
    const frame = canvas.getBoundingClientRect();
    const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    cross.style.left = `${limit(cross.offsetLeft + 8 * x, 0, frame.width)}px`;
    cross.style.top = `${limit(cross.offsetTop + 8 * y, 0, frame.height)}px`;
  }
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Escape") wake(false);
    if (clicked && cross && !cross.hidden) {
      const frame = canvas.getBoundingClientRect();
      const isMove = event.shiftKey && event.key.startsWith("Arrow");
      if (isMove) move(event.key);
      if (event.key === "Enter") click(frame.left + cross.offsetLeft, frame.top + cross.offsetTop);
      if (isMove || event.key === "Enter") { event.preventDefault(); return; }
    }
    const page = event.key.startsWith("Page") && box("section")?.checked;
    const isLight = event.shiftKey && lead[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey;
    if (page || isLight) {
      event.preventDefault();
      if (page) movePlane(event.key, event.shiftKey);
      else leadLight(lead[event.key]);
      return;
    }
    const name = keys[event.key];
    if (!name || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act(name);
  }, { signal });
  for (const button of root.querySelectorAll("button[data-act]")) {
    button.addEventListener("click", () => act(button.dataset.act), { signal });
  }
  for (const each of boxes) {
    each.addEventListener("change", () => {
      const other = { cut: "section", section: "cut" }[Object.keys(each.dataset)[0]];
      if (other && each.checked && box(other)) box(other).checked = false; // One cut at a time.
      slide();
      dress();
      draw();
    }, { signal });
  }
  for (const slider of sliders) {
    slider.addEventListener("input", () => {
      const [name] = Object.keys(slider.dataset);
      if (name in at.lamp) at.lamp = { ...at.lamp, [name]: Number(slider.value) };
      slide();
      dress();
      draw();
    }, { signal });
  }
  const isMoved = handles(grips, {
    signal,
    shift: (what, dx, dy) => {
      const [right, up] = [new Vector3(), new Vector3()];
      camera.matrixWorld.extractBasis(right, up, new Vector3());
      marked.moveAxis(what, right.multiplyScalar(dx * at.pixel).addScaledVector(up, -dy * at.pixel));
      draw();
    },
    back: () => { marked.axisBack(); draw(); },
    told: () => turnedTo(marked.axis()),
  });

  // One finger or the mouse turns, with Shift the light; up and down a finger scrolls the page. Two fingers zoom and tilt.
  const fingers = new Map();
  let still = null; // Where a finger was put down, as long as it has not moved.
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return b ? { apart: Math.hypot(a.x - b.x, a.y - b.y), y: (a.y + b.y) / 2 } : null;
  };
  canvas.addEventListener("pointerdown", (event) => {
    wake(true);
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    still = fingers.size === 1 ? { x: event.clientX, y: event.clientY } : null;
  }, { signal });
  canvas.addEventListener("pointermove", (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    if (still && Math.hypot(event.clientX - still.x, event.clientY - still.y) < 5) return;
    still = null;
    const before = spread();
    const [dx, dy] = [event.clientX - last.x, event.clientY - last.y];
    Object.assign(last, { x: event.clientX, y: event.clientY });
    const after = spread();
    if (before && after) {
      at.zoom = limit(at.zoom * after.apart / Math.max(before.apart, 1), 0.5, 12);
      at.tilt = limit(at.tilt + (after.y - before.y) * 0.01, -1.5, 1.5);
    } else if (event.shiftKey) {
      at.lamp = dragged(at.lamp, dx, dy, 150);
      slide();
    } else {
      at.turn += dx * 0.01;
      at.tilt = limit(at.tilt + dy * 0.01, -1.5, 1.5);
    }
    draw();
  }, { signal });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => {
      fingers.delete(event.pointerId);
      if (still && name === "pointerup") click(event.clientX, event.clientY);
      still = null;
    }, { signal });
  }
  // Only once it was clicked and until the pointer leaves it, lest a page that is scrolled stops at the pot.
  const wake = (on) => canvas.toggleAttribute("data-awake", on);
  canvas.addEventListener("pointerleave", () => wake(false), { signal });
  canvas.addEventListener("wheel", (event) => {
    if (!canvas.hasAttribute("data-awake") && !event.ctrlKey) {
      passed?.();
      return;
    }
    event.preventDefault();
    at.zoom = limit(at.zoom * Math.exp(-event.deltaY * 0.0015), 0.5, 12);
    draw();
  }, { passive: false, signal });
  const resized = new ResizeObserver(draw);
  resized.observe(canvas);
  canvas.addEventListener("webglcontextlost", (event) => { event.preventDefault(); }, { signal });
  canvas.addEventListener("webglcontextrestored", draw, { signal });
  slide();
  dress();
  aim();
  renderer.render(scene, camera);
  root.dataset.state = "ready";
  return {
    act,
    at: () => ({ ...at }),
    // The axis goes back to where it was shown at first, but not while somebody moves it.
    axisBack: () => { if (data.axis && !isMoved()) { marked.axisBack(); draw(); } },
    // Points in mm that are marked; where they are `joined`, a line runs through them.
    mark: (points, joined) => { marked.mark(points, joined); draw(); },
    // `use` is given the canvas with what is to be seen now, in many pixels.
    picture: (use) => {
      renderer.setPixelRatio(Math.max(ratio, PICTURE / canvas.clientWidth));
      aim();
      renderer.render(scene, camera);
      use(canvas);
      renderer.setPixelRatio(ratio);
      aim();
      renderer.render(scene, camera);
    },
    // Gives the canvas back, fresh, for what is shown next.
    close: () => {
      leaving.abort();
      resized.disconnect();
      waiting = true;
      renderer.dispose();
      renderer.forceContextLoss();
      const fresh = canvas.cloneNode();
      const focused = document.activeElement === canvas;
      canvas.replaceWith(fresh);
      if (focused) fresh.focus({ preventScroll: true });
    },
  };
}

function main() {
  const root = document.getElementById("viewer");
  const source = document.getElementById("meshes");
  if (!root || !source) return;
  show(root, JSON.parse(source.textContent));
}

// As `start`; null where there is no WebGL.
function show(root, data, told) {
  try {
    // Asked first: three reports a missing WebGL as an error.
    if (!document.createElement("canvas").getContext("webgl2")) throw new Error("no WebGL 2");
    return start(root, data, told);
  } catch (error) {
    root.dataset.state = "failed";
    root.dataset.reason = String(error);
    return null;
  }
}

globalThis.voxganView = { show };
main();
