// How a pot is cut open: a quarter of it taken away, or all that lies before an upright plane, which
// can be moved along the pot's depth and turned about its axis.
import {
  BufferAttribute, BufferGeometry, Color, DoubleSide, Mesh, MeshBasicMaterial, Plane, Vector3,
} from "three";
import { caps } from "./caps.js";

const QUARTER = (-75 * Math.PI) / 180; // From here to the sherd is what the quarter takes away.

// The two ways to cut, by the names of their switches. `reach` is how far the pot goes from its axis.
export function cuts(reach) {
  const quarter = [QUARTER, QUARTER + Math.PI / 2].map(
    (angle) => new Plane(new Vector3(-Math.sin(angle), 0, -Math.cos(angle)), 0),
  );
  // Of one plane's caps the other plane cuts off what is not there; but for a little, lest a slit shows.
  const others = quarter.map((plane, n) => new Plane(quarter[1 - n].normal.clone().negate(), 1e-3 * reach));
  const section = new Plane();
  return {
    cut: { planes: quarter, others, key: "cut" },
    section: {
      planes: [section], others: [null], key: "",
      // `depth` in mm from the axis towards the viewer, who is turned by `angle` from the front.
      put(depth, angle) {
        section.normal.set(-Math.sin(angle), 0, -Math.cos(angle));
        section.constant = depth;
        this.key = `${depth} ${angle}`;
      },
    },
  };
}

// The clay that a cut lays bare, in a dark tone of each label's colour. Only a closed part has any.
export function addCaps(group, cut, standing) {
  const { part, corners } = group.userData;
  if (!part.closed || group.userData.capped === cut.key) return;
  group.userData.capped = cut.key;
  for (const old of group.children.filter((each) => each.userData.cap)) {
    group.remove(old);
    old.geometry.dispose();
    old.material.dispose();
  }
  const back = standing.clone().invert();
  const faces = group.children.map((skin) => [skin.userData.label, skin.geometry.getIndex().array]);
  cut.planes.forEach((plane, index) => {
    for (const [label, positions] of caps(corners, faces, plane)) {
      const geometry = new BufferGeometry();
      geometry.setAttribute("position", new BufferAttribute(positions, 3).applyMatrix4(back));
      const cap = new Mesh(geometry, new MeshBasicMaterial({
        color: new Color(part.groups.find((each) => each.label === label).colour).multiplyScalar(0.4),
        side: DoubleSide, clippingPlanes: cut.others[index] ? [cut.others[index]] : [],
      }));
      cap.userData = { label, cap: true };
      group.add(cap);
    }
  });
}
