// Pen strokes as an image of the kind that the network learned from.
//
// A stroke is a list of [x, y], in any unit, y downwards. The images of the data sets were scaled
// and centred, and the 8 x 8 digits all carry about as much ink, whatever their class: the pen is
// made as wide as that takes.

const GRAIN = 4; // samples across a cell: the 8 x 8 digits are counts of 4 x 4 pixels, too
const HALVINGS = 9;
const FLAT = 0.35; // lower drawings, a dash for one, are not stretched

/** Values from 0 to 1, rows of columns; all 0 without strokes. `drawing` is as /about tells it. */
export function imageOf(strokes, drawing) {
  const { height, width, ink, centre } = drawing;
  const segments = sheared(segmentsOf(strokes), drawing.upright);
  if (!segments.length) return blank(height, width);
  let radius = (drawing.pen * height) / 2;
  if (ink !== null) {
    let [thin, thick] = [0.25, height / 4];
    for (let k = 0; k < HALVINGS; k++) {
      radius = (thin + thick) / 2;
      const mean = meanOf(covered(fitted(segments, radius, drawing), radius, height, width));
      if (mean < ink) thin = radius;
      else thick = radius;
    }
  }
  const placed = fitted(segments, radius, drawing);
  const image = covered(placed, radius, height, width);
  if (centre === "box") return image;
  const [x, y] = centreOfMass(image);
  const moved = placed.map(([ax, ay, bx, by]) => {
    const [dx, dy] = [width / 2 - x, height / 2 - y];
    return [ax + dx, ay + dy, bx + dx, by + dy];
  });
  return covered(moved, radius, height, width);
}

function blank(height, width) {
  return Array.from({ length: height }, () => new Array(width).fill(0));
}

/** [ax, ay, bx, by] between points that lie far enough apart to matter; a dot is one, too. */
function segmentsOf(strokes) {
  const all = strokes.flat();
  if (!all.length) return [];
  const box = boxOf(all);
  const least = Math.max(box.width, box.height) / 48;
  const segments = [];
  for (const stroke of strokes) {
    if (!stroke.length) continue;
    let [x, y] = stroke[0];
    if (stroke.length === 1) segments.push([x, y, x, y]);
    stroke.slice(1).forEach(([nx, ny], k) => {
      const isLast = k === stroke.length - 2;
      if (!isLast && Math.hypot(nx - x, ny - y) < least) return;
      segments.push([x, y, nx, ny]);
      [x, y] = [nx, ny];
    });
  }
  return segments;
}

/** With a share of the slant taken away: the sets were written more upright than one draws. */
function sheared(segments, share) {
  let [length, x, y] = [0, 0, 0];
  const parts = segments.map(([ax, ay, bx, by]) => {
    // A dot weighs a little, so that dots alone have a middle, too.
    const part = [Math.hypot(bx - ax, by - ay) + 1e-6, (ax + bx) / 2, (ay + by) / 2];
    length += part[0];
    x += part[0] * part[1];
    y += part[0] * part[2];
    return part;
  });
  const middle = y / length;
  let [across, down] = [0, 0];
  for (const [weight, mx, my] of parts) {
    across += weight * (mx - x / length) * (my - middle);
    down += weight * (my - middle) ** 2;
  }
  const slant = down ? (share * across) / down : 0;
  return segments.map(([ax, ay, bx, by]) => [
    ax - slant * (ay - middle), ay, bx - slant * (by - middle), by,
  ]);
}

function boxOf(points) {
  const xs = points.map((point) => point[0]);
  const ys = points.map((point) => point[1]);
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  return { left, top, width: Math.max(...xs) - left, height: Math.max(...ys) - top };
}

/** Scaled so that what the pen covers fills the box, and put into its middle; in cells. */
function fitted(segments, radius, { height, width, box, widest }) {
  const found = boxOf(segments.flatMap(([ax, ay, bx, by]) => [[ax, ay], [bx, by]]));
  const room = (side) => Math.max(side - 2 * radius, 0.1);
  let sy = Math.min(
    room(box * height) / Math.max(found.height, 1e-9),
    room(box * width) / Math.max(found.width, 1e-9),
  );
  let sx = sy;
  if (widest !== null && found.height > FLAT * found.width) {
    sy = room(box * height) / found.height;
    sx = Math.min(sy, room(widest * width) / Math.max(found.width, 1e-9));
  }
  const x = width / 2 - sx * (found.left + found.width / 2);
  const y = height / 2 - sy * (found.top + found.height / 2);
  return segments.map(([ax, ay, bx, by]) => [
    sx * ax + x, sy * ay + y, sx * bx + x, sy * by + y,
  ]);
}

/** The share of each cell that lies within `radius` of a segment. */
function covered(segments, radius, height, width) {
  const image = blank(height, width);
  const limit = radius * radius;
  for (let row = 0; row < height * GRAIN; row++) {
    for (let column = 0; column < width * GRAIN; column++) {
      const [x, y] = [(column + 0.5) / GRAIN, (row + 0.5) / GRAIN];
      if (segments.some((segment) => distance2(x, y, segment) <= limit)) {
        image[Math.floor(row / GRAIN)][Math.floor(column / GRAIN)] += 1 / GRAIN ** 2;
      }
    }
  }
  return image;
}

function distance2(x, y, [ax, ay, bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const length2 = dx * dx + dy * dy;
  const along = length2 ? ((x - ax) * dx + (y - ay) * dy) / length2 : 0;
  const t = Math.min(1, Math.max(0, along));
  return (x - ax - t * dx) ** 2 + (y - ay - t * dy) ** 2;
}

function meanOf(image) {
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
