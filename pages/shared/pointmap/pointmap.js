// The map as a Streamlit component: keeps what it was given, what the visitor sees, and what was done.

import { bits, fetchPackage, loadPlotly, loadStyle, mounting, nextNumber, textAt } from "./wire.js";
import { Plot, levelsOf, marginOf } from "./plot.js";
import { Pointer } from "./pointer.js";
import { TOOLS, fillLegend, fillRings, fillTip, make, makeTools, sketch } from "./furniture.js";
import { Memory } from "./memory.js";
import { View, extentOf } from "./view.js";

const NEAR = 12;
const NEAR_FINGER = 22;
const PATIENCE = [500, 2000, 5000];

class PointMap {
  constructor(parent) {
    this.gestures = [];
    this.#build(parent);
    // Asked for at once, beside the data; who cannot have it is told when drawing fails.
    loadPlotly().catch(() => {});
    this.view = new View(this.pad);
    this.plot = new Plot(this.picture, () => this.#draw());
    this.pointer = new Pointer(this.pad, {
      tool: () => this.memory.tool,
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
    this.rings = sketch("g", {});
    this.trace = sketch("path", { class: "ecoval-map-trace" });
    this.pad = make(
      "div", "pad", sketch("svg", { class: "ecoval-map-rings", "aria-hidden": "true" }, this.rings, this.trace),
    );
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
      this.memory = new Memory(data.name, TOOLS);
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

  #fetchTexts() {
    const address = this.data.texts;
    if (address === this.textsOf) return;
    this.textsOf = address;
    this.texts = null;
    fetchPackage(address).then(
      (texts) => address === this.textsOf && (this.texts = texts),
      // A row then tells its number only; the next update asks again.
      () => address === this.textsOf && (this.textsOf = null),
    );
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
    if (this.measured !== points) {
      this.measured = points;
      this.extent = extentOf(points);
    }
    this.view.whole = { x: layout?.xaxis?.range ?? this.extent.x, y: layout?.yaxis?.range ?? this.extent.y };
    if (this.viewName !== data.view) {
      this.viewName = data.view;
      this.view.own = this.memory.viewOf(data.view);
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

  get size() {
    return { width: this.stage.clientWidth, height: this.stage.clientHeight };
  }

  #scene() {
    const { points, shade, levels, pruned } = this;
    const { palette, layout, status, density } = this.data;
    const style = getComputedStyle(this.root);
    return {
      points, shade, levels, pruned, layout, status, density, view: this.view.ends, size: this.size, picked: this.#picked(),
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

  #ring() {
    if (!this.points) return;
    const picked = this.#picked();
    this.root.dataset.picked = picked?.id ?? "";
    fillRings(this.rings, { picked, neighbors: this.data.neighbors }, this.view);
  }

  #nearest(spot, near) {
    return this.view.nearest(this.points, this.levels, spot, near);
  }

  #hover(spot) {
    this.hovered = spot;
    if (this.hovering) return;
    this.hovering = requestAnimationFrame(() => {
      this.hovering = 0;
      const at = this.hovered && this.points && !this.isGone ? this.#nearest(this.hovered, NEAR) : -1;
      this.pad.classList.toggle("is-over-point", at >= 0);
      if (at < 0) {
        this.tip.hidden = true;
        return;
      }
      const [left, top] = this.view.toSpot(this.points.x[at], this.points.y[at]);
      const text = this.texts ? textAt(this.texts, at) : "";
      fillTip(this.tip, `row ${this.points.ids[at]}`, text, [left + this.margin.l, top + this.margin.t], this.size);
    });
  }

  // ---- What the visitor does

  #tell(gesture) {
    gesture.number = nextNumber();
    this.gestures.push(gesture);
    this.send("gestures", this.gestures);
    return gesture.number;
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
    const outline = spots.flatMap((spot) => this.view.toData(spot)).map((value) => Number(value.toPrecision(9)));
    this.#tell({ kind, mode, outline });
  }

  #escape() {
    if (this.pointer.isBusy) this.pointer.cancel();
    else if (this.data.selected !== null) this.#tell({ kind: "clear" });
    else if (this.#picked()) this.#pick(null);
  }

  #act(name) {
    if (TOOLS.includes(name)) {
      this.memory.keepTool(name);
      this.#showTool();
    } else if (name === "zoomIn") this.#zoom(1 / 1.5);
    else if (name === "zoomOut") this.#zoom(1.5);
    else if (name === "reset") this.#reset();
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
    const { width, height } = this.view;
    const acts = {
      l: () => this.#act("lasso"), b: () => this.#act("box"), z: () => this.#act("pan"),
      i: () => this.#act("invert"), "+": () => this.#act("zoomIn"), "=": () => this.#act("zoomIn"),
      "-": () => this.#act("zoomOut"), 0: () => this.#act("reset"), escape: () => this.#escape(),
      arrowleft: () => this.#pan(step * width, 0), arrowright: () => this.#pan(-step * width, 0),
      arrowup: () => this.#pan(0, step * height), arrowdown: () => this.#pan(0, -step * height),
    };
    const act = acts[event.key.toLowerCase()];
    if (!act || !this.points) return;
    event.preventDefault();
    act();
  }

  // ---- Zoom

  #pan(dx, dy) {
    this.view.pan(dx, dy);
    this.#look();
  }

  #zoom(factor, spot) {
    this.view.zoom(factor, spot);
    this.#look();
  }

  #reset() {
    this.view.own = null;
    this.#look();
  }

  #look() {
    if (!this.points) return;
    this.tip.hidden = true;
    this.#ring();
    this.plot.move(this.view.ends);
    this.memory.keepView(this.viewName, this.view.own);
  }

  #showTool() {
    for (const name of TOOLS) this.buttons[name].setAttribute("aria-pressed", String(name === this.memory.tool));
    this.pad.dataset.tool = this.memory.tool;
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

export default mounting(PointMap);
