// The part of the map that is seen: ends of both axes, and the way between the screen and the data.

// Beyond these shares of the whole, single precision shows, or nothing does.
const SMALLEST = 1e-4;
const LARGEST = 20;

export class View {
  /** @param pad the element over the axes */
  constructor(pad) {
    this.pad = pad;
    this.whole = { x: [-1, 1], y: [-1, 1] };
    // What the visitor chose; null for the whole.
    this.own = null;
  }

  get ends() {
    return this.own ?? this.whole;
  }

  get width() {
    return this.pad.clientWidth;
  }

  get height() {
    return this.pad.clientHeight;
  }

  toSpot(x, y) {
    const { x: [left, right], y: [bottom, top] } = this.ends;
    return [((x - left) / (right - left)) * this.width, ((top - y) / (top - bottom)) * this.height];
  }

  toData([spotX, spotY]) {
    const { x: [left, right], y: [bottom, top] } = this.ends;
    return [left + (spotX / this.width) * (right - left), top - (spotY / this.height) * (top - bottom)];
  }

  /** Move by pixels. */
  pan(dx, dy) {
    const { x, y } = this.ends;
    const byX = (-dx / this.width) * (x[1] - x[0]);
    const byY = (dy / this.height) * (y[1] - y[0]);
    this.own = { x: x.map((end) => end + byX), y: y.map((end) => end + byY) };
  }

  /** Show a part larger by a factor, in which a spot, by default the middle, stays where it is. */
  zoom(factor, spot = [this.width / 2, this.height / 2]) {
    const { x, y } = this.ends;
    const share = (factor * (x[1] - x[0])) / (this.whole.x[1] - this.whole.x[0]);
    if (share < SMALLEST || share > LARGEST) return;
    const [midX, midY] = this.toData(spot);
    const scale = (ends, middle) => ends.map((end) => middle + (end - middle) * factor);
    this.own = { x: scale(x, midX), y: scale(y, midY) };
  }

  /** Position of the point nearest to a spot, of those that pass the filters; -1 if none is near. */
  nearest(points, levels, [spotX, spotY], near) {
    const { x: [left, right], y: [bottom, top] } = this.ends;
    const scaleX = this.width / (right - left);
    const scaleY = this.height / (top - bottom);
    let best = -1, bestDistance = near * near;
    for (let i = 0; i < levels.length; i++) {
      if (!levels[i]) continue;
      const dx = (points.x[i] - left) * scaleX - spotX;
      const dy = (top - points.y[i]) * scaleY - spotY;
      const distance = dx * dx + dy * dy;
      if (distance < bestDistance) {
        best = i;
        bestDistance = distance;
      }
    }
    return best;
  }
}

/** Ends of both axes that show every point. */
export function extentOf({ x, y }) {
  return { x: extent(x), y: extent(y) };
}

function extent(amounts) {
  let low = Infinity, high = -Infinity;
  for (const amount of amounts) {
    if (amount < low) low = amount;
    if (amount > high) high = amount;
  }
  if (!(low <= high)) return [-1, 1];
  const pad = 0.04 * (high - low) || 1;
  return [low - pad, high + pad];
}
