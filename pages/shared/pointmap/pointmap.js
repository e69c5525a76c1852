// The map as a Streamlit component: keeps what it was given, what the visitor sees, and what was done.

import { bits, fetchPackage, loadPlotly, loadStyle, textAt } from "./wire.js";
import { Plot, levelsOf, marginOf } from "./plot.js";
import { Pointer } from "./pointer.js";
import { TOOLS, fillLegend, fillTip, make, makeTools } from "./furniture.js";

const NEAR = 12;
const NEAR_FINGER = 22;
const PATIENCE = [500, 2000, 5000];
const MOST_VIEWS = 8;
const SVG = "http://www.w3.org/2000/svg";
const maps = new WeakMap();
let lastNumber = 0;

export default function mount(component) {
  const parent = component.parentElement;
  let map = maps.get(parent);
  if (!map) {
    map = new PointMap(parent);
    maps.set(parent, map);
  }
  map.update(component);
  return () => {
    map.destroy();
    maps.delete(parent);
  };
}

class PointMap {
  constructor(parent) {
    this.gestures = [];
    this.stored = { tool: "lasso", views: {} };
    this.#build(parent);
    // Asked for at once, beside the data; who cannot have it is told when drawing fails.
    loadPlotly().catch(() => {});
    this.plot = new Plot(this.picture, () => this.#draw());
    this.pointer = new Pointer(this.pad, {
      tool: () => this.stored.tool,
      click: (spot, mode, isFinger) => this.#click(spot, mode, isFinger ? NEAR_FINGER : NEAR),
      outline: (kind, spots, mode) => this.#outline(kind, spots, mode),
      pan: (dx, dy) => this.#pan(dx, dy),
      zoom: (factor, spot) => this.#zoom(factor, spot),
      hover: (spot) => this.#hover(spot),
      focus: () => this.#focus(),
      trace: (path) => this.trace.setAttribute("d", path ?? ""),
    });
    this.watch = new ResizeObserver(() => this.#resize());
    this.watch.observe(this.stage);
    this.onKey = (event) => this.#key(event);
    document.addEventListener("keydown", this.onKey);
  }

  #build(parent) {
    this.title = make("span", "title");
    this.note = make("span", "note");
    this.status = make("span", "status");
    this.status.setAttribute("role", "status");
    this.subtitle = make("p", "subtitle");
    const { tools, buttons } = makeTools((name) => this.#act(name));
    this.buttons = buttons;
    this.picture = make("div", "picture");
    this.picture.setAttribute("role", "img");
    this.marks = document.createElementNS(SVG, "svg");
    this.marks.setAttribute("class", "ecoval-map-rings");
    this.marks.setAttribute("aria-hidden", "true");
    this.rings = document.createElementNS(SVG, "g");
    this.trace = document.createElementNS(SVG, "path");
    this.trace.setAttribute("class", "ecoval-map-trace");
    this.marks.append(this.rings, this.trace);
    this.pad = make("div", "pad", this.marks);
    this.tip = make("div", "tip");
    this.tip.hidden = true;
    this.message = make("div", "message", "Loading the map …");
    this.stage = make("div", "stage", this.picture, this.pad, this.tip, this.message);
    this.legend = make("div", "legend");
    this.root = make(
      "div", "root",
      make("div", "head", make("div", "words", this.title, this.note), this.status),
      this.subtitle,
      make("div", "body", tools, this.stage, this.legend),
    );
    this.root.tabIndex = 0;
    this.root.setAttribute("role", "application");
    this.root.style.visibility = "hidden";
    loadStyle().then(() => this.root.style.removeProperty("visibility"));
    parent.append(this.root);
  }

  // ---- What the server sends

  update({ data, setStateValue }) {
    const isFirst = !this.data;
    this.data = data;
    this.send = setStateValue;
    if (isFirst) {
      this.#recall();
      this.#showTool();
    }
    this.gestures = this.gestures.filter((gesture) => gesture.number > data.seen);
    if (this.guess && this.guess.number <= data.seen) this.guess = null;
    this.#dress();
    this.#fetch();
  }

  #dress() {
    const { data } = this;
    const { palette } = data;
    this.root.setAttribute("aria-label", `${data.label}. Keys: L lasso, B box, Z move and zoom, I invert, Escape clear, plus, minus and 0 zoom, arrows move.`);
    this.picture.setAttribute("aria-label", data.label);
    if (this.status.textContent !== data.status) this.status.textContent = data.status;
    this.note.textContent = data.note;
    for (const [name, color] of Object.entries(palette)) this.root.style.setProperty(`--map-${name}`, color);
    this.root.style.setProperty("--map-above", `${data.above}px`);
    this.buttons.clear.disabled = data.selected === null && !this.#picked();
    this.#place();
  }

  /** Lay the pad over the axes; plotly.js draws whole pixels, the page's columns may end between two. */
  #place() {
    const margin = (this.margin = marginOf(this.data.layout));
    const { width, height } = this.size;
    Object.assign(this.pad.style, {
      left: `${margin.l}px`, width: `${Math.max(0, width - margin.l - margin.r)}px`,
      top: `${margin.t}px`, height: `${Math.max(0, height - margin.t - margin.b)}px`,
    });
  }

  async #fetch(attempt = 0) {
    const { data } = this;
    const token = (this.token = {});
    try {
      const [points, shade] = await Promise.all([fetchPackage(data.points), fetchPackage(data.shade)]);
      if (token !== this.token || this.isGone) return;
      // A page that was left open may know points of one run and colours of another.
      if (points.x.length !== shade.codes.length) return;
      this.points = points;
      this.shade = shade;
      this.#arrange();
      this.#fetchTexts();
    } catch (error) {
      if (token !== this.token || this.isGone) return;
      if (attempt < PATIENCE.length) {
        setTimeout(() => token === this.token && !this.isGone && this.#fetch(attempt + 1), PATIENCE[attempt]);
      } else {
        this.message.textContent = "The map's data could not be loaded. Reload this page.";
        this.message.hidden = false;
        console.error(error);
      }
    }
  }

  async #fetchTexts() {
    const address = this.data.texts;
    if (address === this.textsOf) return;
    this.textsOf = address;
    this.texts = null;
    try {
      const texts = await fetchPackage(address);
      if (address === this.textsOf) this.texts = texts;
    } catch {
      // A row then tells its number only; the next update asks again.
      if (address === this.textsOf) this.textsOf = null;
    }
  }

  #arrange() {
    const { data, points, shade } = this;
    const { selected, shown, pruned, layout, palette } = data;
    const n = points.x.length;
    if (this.legendOf !== shade) {
      this.legendOf = shade;
      this.title.textContent = shade.words.title;
      this.subtitle.textContent = shade.words.subtitle;
      fillLegend(this.legend, shade.words);
    }
    if (this.extentOf !== points) {
      this.extentOf = points;
      this.extent = { x: extent(points.x), y: extent(points.y) };
    }
    if (this.viewName !== data.view) {
      this.viewName = data.view;
      this.view = this.stored.views[data.view] ?? null;
    }
    this.message.hidden = n > 0;
    if (!n) this.message.textContent = "No row has a value.";
    const drawnFrom = JSON.stringify([data.points, data.shade, selected, shown, pruned, layout, palette, data.view]);
    if (drawnFrom === this.drawnFrom) {
      // Only the rings differ, or words.
      this.#ring();
      this.root.dataset.seen = String(data.seen);
      return;
    }
    this.drawnFrom = drawnFrom;
    this.levels = levelsOf(n, bits(selected, n), bits(shown, n));
    this.pruned = bits(pruned, n);
    this.#draw();
  }

  // ---- What is seen

  /** What the axes show: the visitor's part of the map, or all of it. */
  get shown() {
    const { layout } = this.data;
    return this.view ?? { x: layout?.xaxis?.range ?? this.extent.x, y: layout?.yaxis?.range ?? this.extent.y };
  }

  get size() {
    return { width: this.stage.clientWidth, height: this.stage.clientHeight };
  }

  #scene() {
    const { points, shade, levels, pruned } = this;
    const { palette, layout, status } = this.data;
    const style = getComputedStyle(this.root);
    return {
      points, shade, levels, pruned, layout, status, view: this.shown, size: this.size, picked: this.#picked(),
      palette: { ...palette, background: style.getPropertyValue("--st-background-color").trim() || palette.surface },
      font: style.fontFamily,
    };
  }

  #draw() {
    if (!this.points || this.isGone) return;
    const { data } = this;
    this.drawnSize = this.size;
    this.#place();
    this.#ring();
    this.plot.draw(this.#scene()).then(
      () => (this.root.dataset.seen = String(data.seen)),
      (error) => {
        this.message.textContent = "The map could not be drawn. Reload this page.";
        this.message.hidden = false;
        console.error(error);
      },
    );
  }

  #resize() {
    const { width, height } = this.size;
    if (!this.points || !width || !height) return;
    if (width === this.drawnSize?.width && height === this.drawnSize?.height) return;
    this.#draw();
  }

  #picked() {
    return this.guess ? this.guess.picked : this.data.picked;
  }

  /** Rings around the picked row and its neighbours; quick enough to follow every move. */
  #ring() {
    if (!this.points) return;
    this.rings.replaceChildren();
    const { clientWidth, clientHeight } = this.pad;
    const ring = ({ x, y }, radius, name) => {
      const [left, top] = this.#toSpot(x, y);
      if (left < -20 || top < -20 || left > clientWidth + 20 || top > clientHeight + 20) return null;
      const circle = document.createElementNS(SVG, "circle");
      circle.setAttribute("cx", left);
      circle.setAttribute("cy", top);
      circle.setAttribute("r", radius);
      circle.setAttribute("class", `ecoval-map-${name}`);
      this.rings.append(circle);
      return [left, top];
    };
    for (const place of this.data.neighbors) ring(place, 6, "neighbor");
    const picked = this.#picked();
    this.root.dataset.picked = picked?.id ?? "";
    if (!picked) return;
    ring(picked, 9, "halo");
    const spot = ring(picked, 9, "picked");
    if (!spot) return;
    const words = document.createElementNS(SVG, "text");
    words.textContent = `row ${picked.id}`;
    const isHigh = spot[1] < 28;
    words.setAttribute("x", Math.max(30, Math.min(clientWidth - 30, spot[0])));
    words.setAttribute("y", isHigh ? spot[1] + 25 : spot[1] - 15);
    words.setAttribute("class", "ecoval-map-word");
    this.rings.append(words);
  }

  #toSpot(x, y) {
    const { x: [left, right], y: [bottom, top] } = this.shown;
    const { clientWidth, clientHeight } = this.pad;
    return [((x - left) / (right - left)) * clientWidth, ((top - y) / (top - bottom)) * clientHeight];
  }

  #toData([spotX, spotY]) {
    const { x: [left, right], y: [bottom, top] } = this.shown;
    const { clientWidth, clientHeight } = this.pad;
    return [left + (spotX / clientWidth) * (right - left), top - (spotY / clientHeight) * (top - bottom)];
  }

  /** Position of the point nearest to a spot, of those that pass the filters; -1 if none is near. */
  #nearest([spotX, spotY], near = NEAR) {
    const { points, levels } = this;
    const { x: [left, right], y: [bottom, top] } = this.shown;
    const scaleX = this.pad.clientWidth / (right - left);
    const scaleY = this.pad.clientHeight / (top - bottom);
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

  #hover(spot) {
    this.hovered = spot;
    if (this.hovering) return;
    this.hovering = requestAnimationFrame(() => {
      this.hovering = 0;
      const at = this.hovered && this.points && !this.isGone ? this.#nearest(this.hovered) : -1;
      this.pad.classList.toggle("is-over-point", at >= 0);
      if (at < 0) {
        this.tip.hidden = true;
        return;
      }
      const [left, top] = this.#toSpot(this.points.x[at], this.points.y[at]);
      const text = this.texts ? textAt(this.texts, at) : "";
      fillTip(this.tip, `row ${this.points.ids[at]}`, text, [left + this.margin.l, top + this.margin.t], this.size);
    });
  }

  // ---- What the visitor does

  #tell(gesture) {
    // Larger than any before, also of a map that stood here earlier.
    lastNumber = Math.max(lastNumber + 1, Date.now());
    gesture.number = lastNumber;
    this.gestures.push(gesture);
    this.send("gestures", this.gestures);
    return lastNumber;
  }

  #click(spot, mode, near) {
    if (!this.points) return;
    const at = this.#nearest(spot, near);
    if (at < 0) return;
    const picked = { id: this.points.ids[at], x: this.points.x[at], y: this.points.y[at] };
    if (mode) this.#tell({ kind: "point", mode, row: picked.id });
    else this.#pick(picked);
  }

  #pick(picked) {
    const number = this.#tell({ kind: "pick", row: picked?.id ?? null });
    // Shown at once; the server's answer replaces it.
    this.guess = { number, picked };
    this.#ring();
  }

  #outline(kind, spots, mode) {
    if (!this.points) return;
    const outline = spots.flatMap((spot) => this.#toData(spot)).map((value) => Number(value.toPrecision(9)));
    this.#tell({ kind, mode, outline });
  }

  #escape() {
    if (this.pointer.isBusy) this.pointer.cancel();
    else if (this.data.selected !== null) this.#tell({ kind: "clear" });
    else if (this.#picked()) this.#pick(null);
  }

  #act(name) {
    if (TOOLS.includes(name)) {
      this.stored.tool = name;
      this.#showTool();
      this.#keep();
    } else if (name === "zoomIn") this.#zoom(1 / 1.5);
    else if (name === "zoomOut") this.#zoom(1.5);
    else if (name === "reset") this.#look(null);
    else if (name === "invert") this.#tell({ kind: "invert" });
    else if (name === "clear") this.#escape();
    else if (name === "save" && this.points) this.plot.save(this.#scene(), `ecoval-${this.data.name}`);
  }

  /** Let the keys belong to the map from now on, without the frame that those who use keys alone need. */
  #focus() {
    if (this.root.contains(document.activeElement)) return;
    this.root.classList.add("is-touched");
    this.root.addEventListener("blur", () => this.root.classList.remove("is-touched"), { once: true });
    this.root.focus({ preventScroll: true });
  }

  #key(event) {
    const focus = document.activeElement;
    const isOurs = this.root.contains(focus) || (focus === document.body && this.root.matches(":hover"));
    if (!isOurs || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const step = 0.15;
    const acts = {
      l: () => this.#act("lasso"), b: () => this.#act("box"), z: () => this.#act("pan"),
      i: () => this.#act("invert"), "+": () => this.#act("zoomIn"), "=": () => this.#act("zoomIn"),
      "-": () => this.#act("zoomOut"), 0: () => this.#act("reset"), escape: () => this.#escape(),
      arrowleft: () => this.#shift(step, 0), arrowright: () => this.#shift(-step, 0),
      arrowup: () => this.#shift(0, step), arrowdown: () => this.#shift(0, -step),
    };
    const act = acts[event.key.toLowerCase()];
    if (!act || !this.points) return;
    event.preventDefault();
    act();
  }

  // ---- Zoom

  #shift(x, y) {
    this.#pan(x * this.pad.clientWidth, y * this.pad.clientHeight);
  }

  #pan(dx, dy) {
    if (!this.points) return;
    const { x: [left, right], y: [bottom, top] } = this.shown;
    const byX = (-dx / this.pad.clientWidth) * (right - left);
    const byY = (dy / this.pad.clientHeight) * (top - bottom);
    this.#look({ x: [left + byX, right + byX], y: [bottom + byY, top + byY] });
  }

  #zoom(factor, spot = [this.pad.clientWidth / 2, this.pad.clientHeight / 2]) {
    if (!this.points) return;
    const [x, y] = this.#toData(spot);
    const { x: ends, y: others } = this.shown;
    const scaled = { x: ends.map((end) => x + (end - x) * factor), y: others.map((end) => y + (end - y) * factor) };
    const share = (scaled.x[1] - scaled.x[0]) / (this.extent.x[1] - this.extent.x[0]);
    // Beyond this single precision shows, or nothing does.
    if (share > 1e-4 && share < 20) this.#look(scaled);
  }

  #look(view) {
    this.view = view;
    this.tip.hidden = true;
    this.#ring();
    this.plot.move(this.shown);
    this.#keep();
  }

  #showTool() {
    for (const name of TOOLS) this.buttons[name].setAttribute("aria-pressed", String(name === this.stored.tool));
    this.pad.dataset.tool = this.stored.tool;
  }

  // ---- What outlasts the page

  get #storage() {
    return `ecoval.pointmap.${this.data.name}`;
  }

  #recall() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.#storage) ?? "null");
      if (kept && TOOLS.includes(kept.tool) && kept.views) this.stored = kept;
    } catch {
      // Storage may be forbidden or hold something else: the map then begins anew.
    }
  }

  #keep() {
    const { views } = this.stored;
    delete views[this.viewName];
    if (this.view) views[this.viewName] = this.view;
    const names = Object.keys(views);
    if (names.length > MOST_VIEWS) delete views[names[0]];
    try {
      sessionStorage.setItem(this.#storage, JSON.stringify(this.stored));
    } catch {
      // Full or forbidden; the zoom still holds until the page is left.
    }
  }

  destroy() {
    this.isGone = true;
    this.watch.disconnect();
    document.removeEventListener("keydown", this.onKey);
    if (this.hovering) cancelAnimationFrame(this.hovering);
    this.plot.destroy();
    this.root.remove();
  }
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
