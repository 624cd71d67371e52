// What three points on a rim say of it: the circle through them, and how much of it they span.

// `diameter` in the points' unit; `share` from 0 to 1: of the arc from the first to the last of them.
export function rimThrough(points) {
  const sides = points.map((point, i) => Math.hypot(...point.map((value, axis) => value - points[(i + 1) % 3][axis])));
  const [a, b, c] = sides.sort((one, other) => other - one);
  // The angle at the corner opposite to the longest side; the arc beyond that side is twice as wide.
  const widest = Math.acos(Math.min(1, Math.max(-1, (b * b + c * c - a * a) / (2 * b * c))));
  return { diameter: a / Math.sin(widest), share: 1 - widest / Math.PI };
}
