// What is drawn on a pot: points that were clicked, a line between them, its axis, which can be moved.
import {
  CylinderGeometry, Group, Matrix4, Mesh, MeshBasicMaterial, Raycaster, SphereGeometry, Vector2, Vector3,
} from "three";

const POINT = new MeshBasicMaterial({ color: "#d81b60", depthTest: false });
const AXIS = new MeshBasicMaterial({ color: "#1f5f8b" });
const BALL = new SphereGeometry(1, 16, 12);
const ROD = new CylinderGeometry(1, 1, 1, 12);

// A rod from one point to another, where these are now; how thick it is, in pixels, is told by `size`.
function rod(a, b, material, thick) {
  const made = new Mesh(ROD, material);
  made.userData = {
    size: (pixel) => {
      made.position.copy(a).add(b).divideScalar(2);
      made.quaternion.setFromUnitVectors(new Vector3(0, 1, 0), b.clone().sub(a).normalize());
      made.scale.set(thick * pixel, a.distanceTo(b), thick * pixel);
    },
  };
  return made;
}

function ball(at, radius) {
  const made = new Mesh(BALL, POINT);
  made.position.set(...at);
  made.userData = { size: (pixel) => made.scale.setScalar(radius * pixel) };
  return made;
}

export function marks(pot, axis) {
  const group = new Group();
  group.matrixAutoUpdate = false;
  group.matrix.copy(pot.matrix);
  const ends = (axis ?? []).map((end) => new Vector3(...end)); // The lower, and the upper one.
  const line = axis ? rod(...ends, AXIS, 1.5) : null;
  if (line) group.add(line);
  const points = new Group();
  points.renderOrder = 2;
  group.add(points);
  const rays = new Raycaster();
  return {
    group,
    showAxis: (on) => { if (line) line.visible = on; },
    axis: () => ends.map((end) => end.toArray()),
    axisBack: () => ends.forEach((end, i) => end.set(...axis[i])),
    // Move an end of the axis ("base", "rim"), or all of it ("middle"), by a vector of the scene.
    moveAxis: (what, by) => {
      const along = by.clone().applyMatrix4(new Matrix4().extractRotation(pot.matrix).transpose());
      const direction = ends[1].clone().sub(ends[0]).normalize();
      if (what === "middle") along.addScaledVector(direction, -along.dot(direction));
      ends.filter((_, i) => what === "middle" || (what === "rim") === (i === 1)).forEach((end) => end.add(along));
    },
    // Where in the scene the axis can be taken hold of.
    grip: (what) => {
      const at = { base: ends[0], rim: ends[1] }[what] ?? ends[0].clone().lerp(ends[1], 0.5);
      return at.clone().applyMatrix4(pot.matrix);
    },
    mark: (all, joined) => {
      points.clear();
      for (const at of all) points.add(ball(at, 5));
      const places = joined ? all.map((at) => new Vector3(...at)) : [];
      places.slice(1).forEach((at, i) => points.add(rod(places[i], at, POINT, 1.2)));
      for (const each of points.children) each.renderOrder = 2;
    },
    size: (pixel) => {
      for (const each of [...points.children, ...(line ? [line] : [])]) each.userData.size(pixel);
    },
    // The point in mm that is seen at a place of the picture, each from -1 to 1; null where none is.
    hit: (camera, x, y) => {
      rays.setFromCamera(new Vector2(x, y), camera);
      pot.updateMatrixWorld();
      const open = ({ point, object }) => (object.material.clippingPlanes ?? []).length === 0
        || object.material.clippingPlanes.some((plane) => plane.distanceToPoint(point) >= 0);
      const solid = pot.children.filter((part) => part.visible)
        .flatMap((part) => part.children.filter((skin) => skin.visible && !skin.material.transparent));
      const all = solid.length ? solid : pot.children.filter((part) => part.visible).flatMap((part) => part.children);
      const found = rays.intersectObjects(all, false).find(open);
      return found ? found.point.clone().applyMatrix4(pot.matrix.clone().invert()).toArray() : null;
    },
  };
}
