// A Plotly chart as a Streamlit component: its marks take clicks and boxes, and its zoom outlasts a new
// figure, a change of the page and a reload. What is selected is drawn by the server, never by Plotly.

import { loadPlotly, mounting, nextNumber } from "./wire.js";
import { Memory } from "./memory.js";

const AXIS = /^([xy]axis\d*)\./;

class Chart {
  constructor(parent) {
    this.gestures = [];
    this.nDrawn = 0;
    this.box = document.createElement("div");
    this.box.className = "ecoval-chart";
    this.box.setAttribute("role", "figure");
    parent.append(this.box);
    this.watch = new ResizeObserver(() => this.#resize());
    this.watch.observe(this.box);
  }

  update({ data, setStateValue }) {
    this.memory ??= new Memory(`chart.${data.name}`, [""]);
    this.data = data;
    this.send = setStateValue;
    this.gestures = this.gestures.filter((gesture) => gesture.number > data.seen);
    this.box.setAttribute("aria-label", data.label);
    // The page does not jump when the chart comes.
    this.box.style.minHeight = `${data.height}px`;
    this.#ask();
  }

  // ---- What is drawn

  /** Draw; of several asked for while one is drawn, only the last is. */
  async #ask() {
    this.isWanted = true;
    if (this.isBusy) return;
    this.isBusy = true;
    try {
      const Plotly = await loadPlotly();
      while (this.isWanted && !this.isGone) {
        this.isWanted = false;
        await this.#draw(Plotly);
      }
    } catch (error) {
      if (!this.nDrawn) this.box.textContent = "The chart could not be drawn. Reload this page.";
      console.error(error);
    } finally {
      this.isBusy = false;
    }
  }

  async #draw(Plotly) {
    const { figure, config, view, seen } = this.data;
    this.width = this.box.clientWidth;
    if (this.width < 40) return;
    const { data, layout } = JSON.parse(figure);
    const kept = this.memory.viewOf(view);
    Object.assign(layout, {
      width: this.width, autosize: false, clickmode: "event",
      // Tools and hidden traces stay; outlines of boxes never do.
      uirevision: view, selectionrevision: this.nDrawn,
    });
    const isFirst = this.view !== view;
    this.view = view;
    // The whole is drawn first, so that a double click finds the way back to it.
    if (!isFirst) this.#zoomTo(layout, kept);
    this.isDrawing = true;
    try {
      if (isFirst) await Plotly.newPlot(this.box, data, layout, config);
      else await Plotly.react(this.box, data, layout, config);
      if (this.isGone) return;
      if (isFirst || !kept) this.whole = this.#ends();
      if (isFirst && kept) await Plotly.relayout(this.box, flat(kept));
    } finally {
      this.isDrawing = false;
    }
    if (!this.nDrawn) this.#listen();
    this.nDrawn++;
    this.box.dataset.drawn = String(this.nDrawn);
    this.box.dataset.seen = String(seen);
  }

  #zoomTo(layout, kept) {
    for (const [axis, range] of Object.entries(kept ?? {})) {
      layout[axis] = { ...layout[axis], range: [...range], autorange: false };
    }
  }

  /** Ends of every axis that can be zoomed. */
  #ends() {
    const ends = {};
    for (const [name, axis] of Object.entries(this.box._fullLayout)) {
      if (/^[xy]axis\d*$/.test(name) && !axis.fixedrange) ends[name] = [...axis.range];
    }
    return ends;
  }

  #resize() {
    if (this.box.clientWidth && this.box.clientWidth !== this.width) this.#ask();
  }

  // ---- What the visitor does

  #listen() {
    this.box.on("plotly_click", (event) => this.#click(event));
    // Taking the outline away is reported like a box around nothing.
    this.box.on("plotly_selected", (event) => event?.range && !this.isDrawing && this.#boxed(event));
    this.box.on("plotly_relayout", (changes) => this.#look(changes));
  }

  #click({ points, event }) {
    const marks = points.filter(({ id }) => id !== undefined && id !== null);
    if (!marks.length) return;
    const plot = this.box.getBoundingClientRect();
    const away = ({ x, y, xaxis, yaxis }) =>
      Math.hypot(
        xaxis._offset + xaxis.d2p(x) - (event.clientX - plot.left),
        yaxis._offset + yaxis.d2p(y) - (event.clientY - plot.top),
      );
    // Where the words of all marks at one place are shown together, all of them are reported.
    const nearest = marks.reduce((best, mark) => (away(mark) < away(best) ? mark : best));
    this.#tell([nearest.id], event);
  }

  #boxed({ points, event }) {
    const bars = points.filter(({ id, fullData }) => id !== undefined && id !== null && fullData?.type === "bar");
    this.#tell([...new Set(bars.map(({ id }) => id))], event ?? window.event);
    // The outline goes even where the answer is the same figure.
    setTimeout(() => this.#ask());
  }

  #tell(keys, event) {
    const mode = event?.shiftKey ? "add" : event?.altKey ? "remove" : "replace";
    this.gestures.push({ number: nextNumber(), keys, mode });
    this.send("gestures", this.gestures);
  }

  #look(changes) {
    if (this.isDrawing || this.isGone) return;
    if (!Object.keys(changes).some((name) => AXIS.test(name))) return;
    const ends = this.#ends();
    const moved = Object.entries(ends).filter(([name, range]) => !isSame(range, this.whole?.[name]));
    this.memory.keepView(this.view, moved.length ? Object.fromEntries(moved) : null);
  }

  destroy() {
    this.isGone = true;
    this.watch.disconnect();
    window.Plotly?.purge(this.box);
    this.box.remove();
  }
}

function flat(kept) {
  return Object.fromEntries(Object.entries(kept).map(([axis, range]) => [`${axis}.range`, [...range]]));
}

function isSame(one, other) {
  if (!other) return false;
  const width = Math.abs(other[1] - other[0]) || 1;
  return one.every((end, i) => Math.abs(end - other[i]) < 1e-6 * width);
}

export default mounting(Chart);
