// Gestures of the pointer on the map: drags that draw, pan or pinch, and clicks. They live on an element
// of their own above plotly's, so that nothing that is drawn anew can end one.

const DRAG = 4;
const STEP = 2;
const MOST = 600;

export class Pointer {
  /**
   * @param pad the element above the plot
   * @param on tool(), click(spot, mode, isFinger), outline(kind, spots, mode), pan(dx, dy), zoom(factor, spot),
   *   hover(spot or null), trace(path or null), focus()
   */
  constructor(pad, on) {
    this.pad = pad;
    this.on = on;
    this.down = new Map();
    this.drag = null;
    const listen = (name, act, options) => pad.addEventListener(name, act.bind(this), options);
    listen("pointerdown", this.#press);
    listen("pointermove", this.#move);
    listen("pointerup", this.#release);
    listen("pointercancel", this.#stop);
    listen("lostpointercapture", this.#stop);
    listen("pointerleave", () => on.hover(null));
    listen("wheel", this.#wheel, { passive: false });
    listen("dblclick", (event) => event.preventDefault());
    listen("contextmenu", (event) => this.drag && event.preventDefault());
  }

  /** Whether something is being drawn. */
  get isBusy() {
    return this.drag !== null;
  }

  /** Forget what is being drawn. */
  cancel() {
    this.drag = null;
    this.on.trace(null);
  }

  #spot(event) {
    const box = this.pad.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #press(event) {
    if (event.button > 1) return;
    event.preventDefault();
    this.on.focus();
    this.pad.setPointerCapture(event.pointerId);
    const spot = this.#spot(event);
    this.down.set(event.pointerId, spot);
    this.on.hover(null);
    if (this.down.size === 2) {
      this.drag = { kind: "pinch" };
      this.on.trace(null);
    } else if (this.down.size === 1) {
      const kind = event.button === 1 ? "pan" : this.on.tool();
      this.drag = { kind, start: spot, last: spot, spots: [spot], isMoved: false, keys: modeOf(event) };
    }
  }

  #move(event) {
    const spot = this.#spot(event);
    if (!this.down.has(event.pointerId)) {
      if (event.pointerType !== "touch") this.on.hover(spot);
      return;
    }
    const before = this.down.get(event.pointerId);
    this.down.set(event.pointerId, spot);
    const { drag } = this;
    if (!drag) return;
    if (drag.kind === "pinch") {
      this.#pinch(event.pointerId, before, spot);
      return;
    }
    if (!drag.isMoved && distance(drag.start, spot) < DRAG) return;
    drag.isMoved = true;
    if (drag.kind === "pan") {
      this.on.pan(spot[0] - drag.last[0], spot[1] - drag.last[1]);
    } else if (drag.kind === "box") {
      drag.spots = [drag.start, spot];
    } else {
      // The browser hands over what happened since the last frame in one event.
      const events = event.getCoalescedEvents?.() ?? [];
      for (const each of events.length ? events : [event]) {
        const passed = this.#spot(each);
        if (distance(drag.spots.at(-1), passed) >= STEP) drag.spots.push(passed);
      }
    }
    drag.last = spot;
    if (drag.kind !== "pan") this.on.trace(pathOf(drag));
  }

  #pinch(id, before, now) {
    const other = [...this.down].find(([each]) => each !== id)?.[1];
    if (!other) return;
    const [from, to] = [distance(other, before), distance(other, now)];
    if (from > 8 && to > 8) this.on.zoom(from / to, middle(other, now));
    const [was, is] = [middle(other, before), middle(other, now)];
    this.on.pan(is[0] - was[0], is[1] - was[1]);
  }

  #release(event) {
    if (!this.down.delete(event.pointerId)) return;
    const { drag } = this;
    if (!drag || this.down.size) return;
    this.cancel();
    const mode = modeOf(event) ?? drag.keys;
    if (drag.kind === "pinch") return;
    if (!drag.isMoved) {
      if (event.button === 0) this.on.click(this.#spot(event), mode, event.pointerType === "touch");
    } else if (drag.kind !== "pan") {
      const spots = drag.kind === "box" ? [drag.start, this.#spot(event)] : thinned([...drag.spots, this.#spot(event)]);
      if (drag.kind === "box" || spots.length > 2) {
        this.on.outline(drag.kind === "box" ? "box" : "polygon", spots, mode ?? "replace");
      }
    }
  }

  #stop(event) {
    if (this.down.delete(event.pointerId) && !this.down.size) this.cancel();
  }

  #wheel(event) {
    // Elsewhere the wheel scrolls the page; a trackpad's pinch comes as a wheel with ctrl.
    if (this.on.tool() !== "pan" && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    this.on.zoom(Math.exp(Math.max(-0.5, Math.min(0.5, event.deltaY * lines * 0.002))), this.#spot(event));
  }
}

function modeOf(event) {
  if (event.shiftKey || event.ctrlKey || event.metaKey) return "add";
  return event.altKey ? "remove" : null;
}

function pathOf({ kind, start, spots }) {
  if (kind === "box") {
    const [x, y] = spots.at(-1);
    return `M${start[0]},${start[1]}H${x}V${y}H${start[0]}Z`;
  }
  return `M${spots.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L")}Z`;
}

function thinned(spots) {
  while (spots.length > MOST) spots = spots.filter((_, i) => i % 2 === 0);
  return spots;
}

const distance = ([x, y], [u, v]) => Math.hypot(x - u, y - v);
const middle = ([x, y], [u, v]) => [(x + u) / 2, (y + v) / 2];
