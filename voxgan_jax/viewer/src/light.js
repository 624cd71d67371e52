// The light on a pot, which can be led around it and lowered: raking light shows the marks on a sherd.
import { AmbientLight, DirectionalLight, MathUtils } from "three";

// Degrees: around the line of sight, from the right against the clock; above the plane of the picture.
export const LAMP = { around: 126, above: 49 };
export const LOWEST = 5;

// What falls on a surface that faces the viewer adds up to 1 as long as the lamp is not lowered: there
// it has its legend's colour. A lower lamp shines the more strongly, and much of what fills the shadows
// goes: so much stays that the inside of a pot is still seen.
const [KEY, FILL, AROUND] = [0.4, 0.26, 0.5];
const FACING = KEY * Math.sin(MathUtils.degToRad(LAMP.above));

export function lights(scene, camera) {
  const [key, fill] = [new DirectionalLight(), new DirectionalLight()];
  const around = new AmbientLight();
  fill.position.set(0.6, -0.3, 0.8);
  for (const light of [key, fill]) camera.add(light, light.target);
  scene.add(around);
  return (lamp) => {
    const [turn, rise] = [MathUtils.degToRad(lamp.around), MathUtils.degToRad(lamp.above)];
    key.position.set(Math.cos(rise) * Math.cos(turn), Math.cos(rise) * Math.sin(turn), Math.sin(rise));
    const raking = Math.max(0, 1 - lamp.above / LAMP.above);
    key.intensity = Math.PI * (raking > 0 ? KEY + 0.7 * raking : FACING / Math.sin(rise));
    fill.intensity = Math.PI * FILL * (1 - 0.8 * raking);
    around.intensity = Math.PI * (AROUND - 0.32 * raking);
  };
}

// The lamp after it was dragged by pixels, as if it hung over a disc of so many pixels' radius.
export function dragged(lamp, dx, dy, radius) {
  const [turn, out] = [MathUtils.degToRad(lamp.around), Math.cos(MathUtils.degToRad(lamp.above))];
  const [x, y] = [out * Math.cos(turn) + dx / radius, out * Math.sin(turn) - dy / radius];
  const far = Math.min(Math.hypot(x, y), Math.cos(MathUtils.degToRad(LOWEST)));
  return {
    around: far > 0 ? MathUtils.euclideanModulo(MathUtils.radToDeg(Math.atan2(y, x)), 360) : lamp.around,
    above: MathUtils.radToDeg(Math.acos(far)),
  };
}
