// What is drawn on a pot: points that were clicked, a line between them, its axis.
import {
  CylinderGeometry, Group, Mesh, MeshBasicMaterial, Raycaster, SphereGeometry, Vector2, Vector3,
} from "three";

const POINT = new MeshBasicMaterial({ color: "#d81b60", depthTest: false });
const AXIS = new MeshBasicMaterial({ color: "#1f5f8b" });
const BALL = new SphereGeometry(1, 16, 12);
const ROD = new CylinderGeometry(1, 1, 1, 12);

// A rod from one point to another; how thick it is, in pixels, is told by `size`.
function rod(from, to, material, thick) {
  const [a, b] = [new Vector3(...from), new Vector3(...to)];
  const made = new Mesh(ROD, material);
  made.position.copy(a).add(b).divideScalar(2);
  made.quaternion.setFromUnitVectors(new Vector3(0, 1, 0), b.clone().sub(a).normalize());
  made.userData = { size: (pixel) => made.scale.set(thick * pixel, a.distanceTo(b), thick * pixel) };
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
  const line = axis ? rod(axis[0], axis[1], AXIS, 1.5) : null;
  if (line) group.add(line);
  const points = new Group();
  points.renderOrder = 2;
  group.add(points);
  const rays = new Raycaster();
  return {
    group,
    showAxis: (on) => { if (line) line.visible = on; },
    mark: (all, joined) => {
      points.clear();
      for (const at of all) points.add(ball(at, 5));
      if (joined) all.slice(1).forEach((at, i) => points.add(rod(all[i], at, POINT, 1.2)));
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
