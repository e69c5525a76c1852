// The points as plotly.js draws them: those in colour over those that are grey, crosses over both.

import { loadPlotly } from "./wire.js";

const SIZES = [[300, 10], [2500, 8], [8000, 6], [30000, 4], [Infinity, 3]];

let webGL = null;

function hasWebGL() {
  if (webGL === null) {
    const context = document.createElement("canvas").getContext("webgl");
    webGL = context !== null;
    context?.getExtension("WEBGL_lose_context")?.loseContext();
  }
  return webGL;
}

/** Levels of the points: 0 filtered out, 1 not selected, 2 in colour. */
export function levelsOf(n, selected, shown) {
  const levels = new Uint8Array(n);
  for (let i = 0; i < n; i++) {
    levels[i] = shown && !shown[i] ? 0 : selected && !selected[i] ? 1 : 2;
  }
  return levels;
}

export class Plot {
  constructor(div, onRestored) {
    this.div = div;
    this.onRestored = onRestored;
    this.wanted = null;
    this.running = false;
    this.isDrawn = false;
    this.isGone = false;
  }

  /** Draw all of a scene; of several asked for while one is drawn, only the last is. */
  draw(scene) {
    this.scene = scene;
    return this.#ask("all");
  }

  /** Move to another part of the same scene. */
  move(view) {
    if (!this.scene) return;
    this.scene = { ...this.scene, view };
    this.#ask("view");
  }

  async #ask(what) {
    if (this.wanted !== "all") this.wanted = what;
    if (this.running) return;
    this.running = true;
    try {
      const Plotly = await loadPlotly();
      while (this.wanted && !this.isGone) {
        // The words of the page are painted first.
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
        const task = this.isDrawn ? this.wanted : "all";
        this.wanted = null;
        if (this.isGone) return;
        const { view, size } = this.scene;
        if (task === "all") {
          if (size.width < 40 || size.height < 40) continue;
          await Plotly.react(this.div, traces(this.scene), layoutOf(this.scene), { staticPlot: true });
          this.isDrawn = true;
          this.#watch();
        } else {
          await Plotly.relayout(this.div, { "xaxis.range": [...view.x], "yaxis.range": [...view.y] });
        }
        this.div.dataset.drawn = String(Number(this.div.dataset.drawn ?? 0) + 1);
      }
    } finally {
      this.running = false;
    }
  }

  // A browser takes contexts away when a page has too many, or when the graphics driver restarts.
  #watch() {
    for (const canvas of this.div.querySelectorAll("canvas")) {
      if (canvas.isWatched) continue;
      canvas.isWatched = true;
      canvas.addEventListener("webglcontextlost", () => {
        if (this.isGone || this.isReviving || canvas.isReleased) return;
        this.isReviving = true;
        setTimeout(() => {
          this.isReviving = false;
          if (this.isGone) return;
          this.#release();
          this.onRestored();
        }, 300);
      });
    }
  }

  #release() {
    this.isDrawn = false;
    const canvases = [...this.div.querySelectorAll("canvas")];
    window.Plotly?.purge(this.div);
    for (const canvas of canvases) {
      canvas.isReleased = true;
      canvas.getContext("webgl")?.getExtension("WEBGL_lose_context")?.loseContext();
    }
  }

  /** Give back everything, the browser's few WebGL contexts above all. */
  destroy() {
    this.isGone = true;
    this.#release();
  }

  /** Save a picture, with the legend that stands beside the map on the page. */
  async save(scene, name) {
    const Plotly = await loadPlotly();
    const layout = layoutOf(scene);
    const { shade, palette } = scene;
    layout.paper_bgcolor = layout.plot_bgcolor = palette.background;
    // A picture does not have the fonts of the page.
    layout.font.family = "Helvetica, Arial, sans-serif";
    layout.width += 130;
    layout.height += 60;
    layout.margin = { ...layout.margin, t: layout.margin.t + 60, r: layout.margin.r + 130 };
    const words = `${shade.words.title}<br><sup>${scene.status}</sup>`;
    layout.title = { text: words, font: { size: 16, color: palette.text }, x: 0.02, xanchor: "left" };
    const named = shade.words.names.map(([color, text]) => ({
      type: "scatter", mode: "markers", x: [null], y: [null], name: text, showlegend: true,
      marker: { color, size: 10 },
    }));
    layout.showlegend = named.length > 0;
    layout.legend = { x: 1.02, y: 1, font: { color: palette.text } };
    const bar = shade.words.gradient.length
      ? [{
          type: "scatter", mode: "markers", x: [null], y: [null], showlegend: false,
          marker: {
            color: [0], cmin: 0, cmax: 1, colorscale: shade.words.gradient, showscale: true,
            colorbar: {
              tickvals: shade.words.ticks.map(([at]) => at), ticktext: shade.words.ticks.map(([, text]) => text),
              thickness: 14, outlinewidth: 0, tickfont: { color: palette.text },
            },
          },
        }]
      : [];
    const picked = scene.picked
      ? [{
          type: "scatter", mode: "markers+text", x: [scene.picked.x], y: [scene.picked.y],
          text: [`row ${scene.picked.id}`], textposition: "top center", showlegend: false,
          textfont: { color: palette.text },
          marker: { symbol: "circle-open", size: 16, color: palette.text, line: { width: 2 } },
        }]
      : [];
    const drawn = traces(scene).map((trace) => ({ ...trace, showlegend: false }));
    const data = [...drawn, ...picked, ...named, ...bar];
    return Plotly.downloadImage({ data, layout }, {
      format: "png", scale: 2, width: layout.width, height: layout.height, filename: name,
    });
  }
}

function traces({ points, shade, levels, pruned, palette, size, density }) {
  const n = points.x.length;
  const base = SIZES.find(([most]) => n <= most)[1] - (size.width < 480 && n > 300 ? 1 : 0);
  const { colors } = shade.words;
  const at = (positions, color) => ({
    x: Float32Array.from(positions, (i) => points.x[i]), y: Float32Array.from(positions, (i) => points.y[i]), color,
  });
  const inFront = shade.order.filter((i) => levels[i] === 2);
  const behind = shade.order.filter((i) => levels[i] !== 2);
  const crossed = shade.order.filter((i) => pruned?.[i] && levels[i]);
  const nBack = behind.length;
  const greys = Array.from(behind, (i) => (levels[i] ? palette.faded : palette.faint));
  const front = at(inFront, Array.from(inFront, (i) => colors[shade.codes[i]]));
  // One colour for all is a hundred times quicker to read than one each.
  const back = at(behind, new Set(greys).size > 1 ? greys : (greys[0] ?? palette.faded));
  const crosses = at(crossed, Array.from(crossed, (i) => (levels[i] === 2 ? palette.text : palette.muted)));
  const type = hasWebGL() ? "scattergl" : "scatter";
  const trace = (name, { x, y, color }, marker) => ({
    type, name, mode: "markers", x, y, hoverinfo: "skip",
    marker: { color, line: { width: 0 }, ...marker },
  });
  const contours = density
    ? [{
        type: "contour", ...density, showscale: false, hoverinfo: "skip", autocontour: false,
        contours: { start: 0.1, end: 0.9, size: 0.2, coloring: "none" },
        line: { color: palette.muted, width: 1, smoothing: 1 },
      }]
    : [];
  return [
    ...contours,
    trace("others", back, { size: Math.max(2, base - 2), opacity: 1 }),
    trace("points", front, { size: nBack ? base + 0.5 : base, opacity: density && !nBack ? 0.6 : 0.9 }),
    trace("pruned", crosses, {
      symbol: "x-thin-open", size: base + 3, line: { width: 1.5, color: crosses.color },
    }),
  ];
}

const HIDDEN = { showgrid: false, zeroline: false, showticklabels: false, ticks: "", showline: false };

function layoutOf({ layout, palette, view, size, font }) {
  const given = { ...layout };
  if (size.width < 480) {
    // Words of opposite corners would run into each other.
    given.annotations = layout?.annotations?.map((note) => ({
      ...note, text: note.text.replaceAll(": ", ":<br>"), font: { ...note.font, size: 11.5 },
    }));
  }
  const axis = (own, range) => ({ ...(own ?? HIDDEN), range: [...range], autorange: false, fixedrange: true });
  return {
    ...given,
    template: {},
    width: size.width,
    height: size.height,
    margin: marginOf(layout),
    autosize: false,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: font, size: 13, color: palette.text },
    showlegend: false,
    hovermode: false,
    dragmode: false,
    xaxis: axis(given.xaxis, view.x),
    yaxis: axis(given.yaxis, view.y),
  };
}

/** Pixels between the edges of the picture and the axes. */
export function marginOf(layout) {
  return { l: 6, r: 6, t: 6, b: 6, pad: 0, ...layout?.margin };
}
