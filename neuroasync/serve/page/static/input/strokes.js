// Convert pen strokes to an image like those that the network was trained with.
//
// A stroke is a list of points [x, y] in any unit, with y pointing down. The images of the data
// sets were scaled and centred. The 8 x 8 digits all have about the same mean value, whatever their
// class, so the width of the pen is chosen to reach that value.

const SUBCELLS = 4; // subcells along the side of a cell; the data set's digits count 4 x 4 pixels
const BISECTIONS = 9;
const MIN_ASPECT = 0.35; // flatter drawings, such as a dash, are not stretched

/** Return rows of values from 0 to 1. `drawing` comes from /about. Without strokes, all are 0. */
export function imageFromStrokes(strokes, drawing) {
  const { height, width, ink, centre } = drawing;
  const segments = deskew(toSegments(strokes), drawing.upright);
  if (!segments.length) return blank(height, width);
  let radius = (drawing.pen * height) / 2;
  if (ink !== null) {
    let [thin, thick] = [0.25, height / 4];
    for (let k = 0; k < BISECTIONS; k++) {
      radius = (thin + thick) / 2;
      const value = mean(rasterize(fitToBox(segments, radius, drawing), radius, height, width));
      if (value < ink) thin = radius;
      else thick = radius;
    }
  }
  const placed = fitToBox(segments, radius, drawing);
  const image = rasterize(placed, radius, height, width);
  if (centre === "box") return image;
  const [x, y] = centreOfMass(image);
  const moved = placed.map(([ax, ay, bx, by]) => {
    const [dx, dy] = [width / 2 - x, height / 2 - y];
    return [ax + dx, ay + dy, bx + dx, by + dy];
  });
  return rasterize(moved, radius, height, width);
}

function blank(height, width) {
  return Array.from({ length: height }, () => new Array(width).fill(0));
}

/** Return segments [ax, ay, bx, by] between points that are not too close. A dot is one, too. */
function toSegments(strokes) {
  const all = strokes.flat();
  if (!all.length) return [];
  const box = boundingBox(all);
  const minLength = Math.max(box.width, box.height) / 48;
  const segments = [];
  for (const stroke of strokes) {
    if (!stroke.length) continue;
    let [x, y] = stroke[0];
    if (stroke.length === 1) segments.push([x, y, x, y]);
    stroke.slice(1).forEach(([nx, ny], k) => {
      const isLast = k === stroke.length - 2;
      if (!isLast && Math.hypot(nx - x, ny - y) < minLength) return;
      segments.push([x, y, nx, ny]);
      [x, y] = [nx, ny];
    });
  }
  return segments;
}

/** Remove a fraction of the slant, as digits of the data sets are more upright than drawings. */
function deskew(segments, fraction) {
  let [length, x, y] = [0, 0, 0];
  const weighted = segments.map(([ax, ay, bx, by]) => {
    // A dot has a small weight, so that a drawing of dots has a centre, too.
    const entry = [Math.hypot(bx - ax, by - ay) + 1e-6, (ax + bx) / 2, (ay + by) / 2];
    length += entry[0];
    x += entry[0] * entry[1];
    y += entry[0] * entry[2];
    return entry;
  });
  const middle = y / length;
  let [across, down] = [0, 0];
  for (const [weight, mx, my] of weighted) {
    across += weight * (mx - x / length) * (my - middle);
    down += weight * (my - middle) ** 2;
  }
  const slant = down ? (fraction * across) / down : 0;
  return segments.map(([ax, ay, bx, by]) => [
    ax - slant * (ay - middle), ay, bx - slant * (by - middle), by,
  ]);
}

function boundingBox(points) {
  const xs = points.map((point) => point[0]);
  const ys = points.map((point) => point[1]);
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  return { left, top, width: Math.max(...xs) - left, height: Math.max(...ys) - top };
}

/** Scale a drawing so that its pen strokes fill the box, and centre it. The unit is a cell. */
function fitToBox(segments, radius, { height, width, box, widest }) {
  const bounds = boundingBox(segments.flatMap(([ax, ay, bx, by]) => [[ax, ay], [bx, by]]));
  const innerSide = (side) => Math.max(side - 2 * radius, 0.1);
  let sy = Math.min(
    innerSide(box * height) / Math.max(bounds.height, 1e-9),
    innerSide(box * width) / Math.max(bounds.width, 1e-9),
  );
  let sx = sy;
  if (widest !== null && bounds.height > MIN_ASPECT * bounds.width) {
    sy = innerSide(box * height) / bounds.height;
    sx = Math.min(sy, innerSide(widest * width) / Math.max(bounds.width, 1e-9));
  }
  const x = width / 2 - sx * (bounds.left + bounds.width / 2);
  const y = height / 2 - sy * (bounds.top + bounds.height / 2);
  return segments.map(([ax, ay, bx, by]) => [
    sx * ax + x, sy * ay + y, sx * bx + x, sy * by + y,
  ]);
}

/** Return the fraction of each cell that lies within `radius` of a segment. */
function rasterize(segments, radius, height, width) {
  const image = blank(height, width);
  const limit = radius * radius;
  for (let row = 0; row < height * SUBCELLS; row++) {
    for (let column = 0; column < width * SUBCELLS; column++) {
      const [x, y] = [(column + 0.5) / SUBCELLS, (row + 0.5) / SUBCELLS];
      if (segments.some((segment) => squaredDistance(x, y, segment) <= limit)) {
        image[Math.floor(row / SUBCELLS)][Math.floor(column / SUBCELLS)] += 1 / SUBCELLS ** 2;
      }
    }
  }
  return image;
}

function squaredDistance(x, y, [ax, ay, bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const squaredLength = dx * dx + dy * dy;
  const along = squaredLength ? ((x - ax) * dx + (y - ay) * dy) / squaredLength : 0;
  const t = Math.min(1, Math.max(0, along));
  return (x - ax - t * dx) ** 2 + (y - ay - t * dy) ** 2;
}

function mean(image) {
  const values = image.flat();
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function centreOfMass(image) {
  let [mass, x, y] = [0, 0, 0];
  image.forEach((row, r) =>
    row.forEach((value, c) => {
      mass += value;
      x += value * (c + 0.5);
      y += value * (r + 0.5);
    }),
  );
  return mass ? [x / mass, y / mass] : [image[0].length / 2, image.length / 2];
}
