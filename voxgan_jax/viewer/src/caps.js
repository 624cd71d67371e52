// The faces that close a mesh which is cut open by an upright plane.
import { ShapeUtils, Vector2 } from "three";

// By label the corners of the triangles that fill the cut, three numbers each. `corners` are those of
// the mesh, `faces` pairs of a label and the numbers of its faces' corners.
export function caps(corners, faces, plane) {
  const { normal, constant } = plane;
  const filled = new Map();
  for (const { rim, holes } of nested(outlines(corners, faces, plane))) {
    const points = [rim, ...holes].flat();
    const contours = [rim, ...holes].map((loop) => loop.map((point) => new Vector2(point.x, point.y)));
    for (const triangle of ShapeUtils.triangulateShape(contours[0], contours.slice(1))) {
      for (const { label, fan } of shared(triangle.map((index) => points[index]))) {
        if (!filled.has(label)) filled.set(label, []);
        // Back from the plane, whose own x runs along (-normal.z, 0, normal.x).
        for (const { x, y } of fan) {
          filled.get(label).push(-normal.z * x - constant * normal.x, y, normal.x * x - constant * normal.z);
        }
      }
    }
  }
  return [...filled].map(([label, numbers]) => [label, new Float32Array(numbers)]);
}

// A triangle of one label as it is; of one with several each corner has what is nearest to it.
function shared([a, b, c]) {
  if (a.label === b.label && b.label === c.label) return [{ label: a.label, fan: [a, b, c] }];
  const middle = (...all) => ({
    x: all.reduce((sum, { x }) => sum + x, 0) / all.length,
    y: all.reduce((sum, { y }) => sum + y, 0) / all.length,
  });
  const centre = middle(a, b, c);
  return [[a, b, c], [b, c, a], [c, a, b]].map(([own, next, last]) => (
    { label: own.label, fan: [own, middle(own, next), centre, own, centre, middle(own, last)] }
  ));
}

// Where the plane cuts the surface: closed lines of points (x, y) of the plane, each with the label of
// the face that the line enters there. What does not close, as of a mesh with a hole, is left out.
function outlines(corners, faces, { normal, constant }) {
  const away = (i) => normal.x * corners[3 * i] + normal.z * corners[3 * i + 2] + constant;
  const along = (i) => -normal.z * corners[3 * i] + normal.x * corners[3 * i + 2];
  const count = corners.length / 3;
  const ends = new Map(); // An edge of the mesh that the plane cuts: there, and the pieces of line.
  const crossing = (i, j) => {
    const [a, b] = i < j ? [i, j] : [j, i];
    const key = a * count + b;
    if (!ends.has(key)) {
      const part = away(a) / (away(a) - away(b));
      const mix = (one, other) => one + part * (other - one);
      const y = mix(corners[3 * a + 1], corners[3 * b + 1]);
      ends.set(key, { x: mix(along(a), along(b)), y, pieces: [] });
    }
    return ends.get(key);
  };
  for (const [label, list] of faces) {
    for (let i = 0; i < list.length; i += 3) {
      const three = [list[i], list[i + 1], list[i + 2]];
      const before = away(three[0]) < 0;
      if ((away(three[1]) < 0) === before && (away(three[2]) < 0) === before) continue;
      const cut = three
        .map((a, n) => [a, three[(n + 1) % 3]])
        .filter(([a, b]) => (away(a) < 0) !== (away(b) < 0))
        .map(([a, b]) => crossing(a, b));
      if (cut.length !== 2) continue;
      const piece = { ends: cut, label };
      for (const end of cut) end.pieces.push(piece);
    }
  }
  const loops = [];
  for (const first of ends.values()) {
    const loop = [];
    let [here, piece] = [first, first.pieces.find((each) => !each.used)];
    while (piece) {
      piece.used = true;
      loop.push({ x: here.x, y: here.y, label: piece.label });
      here = piece.ends[0] === here ? piece.ends[1] : piece.ends[0];
      piece = here === first ? null : here.pieces.find((each) => !each.used);
    }
    if (here === first && loop.length > 2) loops.push(loop);
  }
  return loops;
}

// Loops as rims with the holes in them: one that lies in an odd number of others is a hole.
function nested(loops) {
  const size = (loop) => Math.abs(ShapeUtils.area(loop));
  const inside = ({ x, y }, loop) => loop.reduce((odd, a, i) => {
    const b = loop[(i + 1) % loop.length];
    return (a.y > y) !== (b.y > y) && x < a.x + ((b.x - a.x) * (y - a.y)) / (b.y - a.y) ? !odd : odd;
  }, false);
  const rims = [];
  for (const loop of loops.sort((a, b) => size(b) - size(a))) {
    const around = rims.filter(({ rim }) => inside(loop[0], rim));
    const hole = around.length > 0 && !around.at(-1).holes.some((other) => inside(loop[0], other));
    if (hole) around.at(-1).holes.push(loop);
    else rims.push({ rim: loop, holes: [] });
  }
  return rims;
}
