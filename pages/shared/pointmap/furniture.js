// What stands around and over the map: words, tools, legend, rings; built once, filled at every update.

// Outlines on a grid of 24, in the manner of Material Symbols.
const ICONS = {
  lasso: "M7 15.1C4.7 14 3 12.2 3 10c0-3.4 4-6 9-6s9 2.6 9 6-4 6-9 6c-.9 0-1.7-.1-2.5-.2M9.5 17a2.2 2.2 0 1 1-4.4 0 2.2 2.2 0 0 1 4.4 0ZM8.8 18.6c.2 1.6-.8 2.7-2.3 2.9",
  box: "M4 7V4h3M10.5 4h3M17 4h3v3M20 10.5v3M20 17v3h-3M13.5 20h-3M7 20H4v-3M4 13.5v-3",
  pan: "M12 3v18M3 12h18M9.5 5.5 12 3l2.5 2.5M9.5 18.5 12 21l2.5-2.5M5.5 9.5 3 12l2.5 2.5M18.5 9.5 21 12l-2.5 2.5",
  zoomIn: "M16 10.5a5.5 5.5 0 1 1-11 0 5.5 5.5 0 0 1 11 0ZM14.6 14.6 20 20M10.5 8v5M8 10.5h5",
  zoomOut: "M16 10.5a5.5 5.5 0 1 1-11 0 5.5 5.5 0 0 1 11 0ZM14.6 14.6 20 20M8 10.5h5",
  reset: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5M10 12a2 2 0 1 0 4 0 2 2 0 1 0-4 0",
  invert: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16ZM12 4v16M12 7.5h6M12 11h8M12 14.5h7.5M12 18h5",
  clear: "M6 6l12 12M18 6 6 18",
  save: "M12 4v11M7.5 10.5 12 15l4.5-4.5M4.5 16v4h15v-4",
};
const GROUPS = [
  [["lasso", "Lasso: draw around points", "L"], ["box", "Box: select a rectangle", "B"], ["pan", "Move and zoom: drag, wheel", "Z"]],
  [["zoomIn", "Zoom in", "+"], ["zoomOut", "Zoom out", "−"], ["reset", "Show all", "0"]],
  [["invert", "Invert the selection", "I"], ["clear", "Clear the selection", "Esc"], ["save", "Save as a picture", ""]],
];
export const TOOLS = ["lasso", "box", "pan"];

/** Make an element with a class of ours and children. */
export function make(tag, name, ...children) {
  const element = document.createElement(tag);
  element.className = `ecoval-map-${name}`;
  element.append(...children);
  return element;
}

/** Make an element of a drawing with attributes and children. */
export function sketch(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function icon(name) {
  return sketch("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, sketch("path", { d: ICONS[name] }));
}

/** The row of buttons; act(name) is called when one is pressed. */
export function makeTools(act) {
  const tools = make("div", "tools");
  tools.setAttribute("role", "toolbar");
  tools.setAttribute("aria-label", "Tools of the map");
  const buttons = {};
  for (const group of GROUPS) {
    const box = make("div", "group");
    for (const [name, words, key] of group) {
      const button = make("button", "tool", icon(name));
      button.type = "button";
      button.dataset.tool = name;
      button.dataset.tip = key ? `${words} (${key})` : words;
      button.setAttribute("aria-label", words);
      if (key) button.setAttribute("aria-keyshortcuts", { "−": "-", "+": "Plus", Esc: "Escape" }[key] ?? key);
      button.addEventListener("click", () => act(name));
      buttons[name] = button;
      box.append(button);
    }
    tools.append(box);
  }
  return { tools, buttons };
}

/** Fill the legend: a bar with marks, or a list of names, or nothing. */
export function fillLegend(legend, { gradient, ticks, names }) {
  legend.replaceChildren();
  legend.hidden = !gradient.length && !names.length;
  if (gradient.length) {
    const stops = gradient.map(([at, color]) => `${color} ${(100 * at).toFixed(2)}%`).join(", ");
    const scale = make("div", "scale");
    scale.style.setProperty("--stops", stops);
    const marks = make("div", "marks");
    // The marks of every scale lie at equal distances from end to end.
    for (const [, text] of ticks) marks.append(make("span", "mark", text));
    legend.append(make("div", "bar", scale, marks));
  }
  for (const [color, text] of names) {
    const patch = make("span", "patch");
    patch.style.background = color;
    legend.append(make("div", "name", patch, make("span", "text", text)));
  }
}

/** Fill the box that tells of a point, and keep it within the stage. */
export function fillTip(tip, title, text, [x, y], { width, height }) {
  tip.replaceChildren(make("b", "tip-title", title));
  const [first, ...rest] = text.split("\n");
  const isPicture = first.startsWith("data:image/");
  if (isPicture) tip.append(Object.assign(make("img", "tip-picture"), { src: first, alt: "" }));
  const words = isPicture ? rest.join("\n") : text;
  if (words) tip.append(make("span", "tip-text", words.trimStart()));
  tip.hidden = false;
  const { offsetWidth, offsetHeight } = tip;
  const left = x + 14 + offsetWidth <= width ? x + 14 : Math.max(0, x - 14 - offsetWidth);
  const top = Math.max(0, Math.min(y - offsetHeight / 2, height - offsetHeight));
  tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
}

/** Draw rings around the picked row and its neighbours; quick enough to follow every move. */
export function fillRings(group, { picked, neighbors }, view) {
  group.replaceChildren();
  const ring = ({ x, y }, radius, name) => {
    const [left, top] = view.toSpot(x, y);
    if (left < -20 || top < -20 || left > view.width + 20 || top > view.height + 20) return null;
    group.append(sketch("circle", { cx: left, cy: top, r: radius, class: `ecoval-map-${name}` }));
    return [left, top];
  };
  for (const place of neighbors) ring(place, 6, "neighbor");
  if (!picked) return;
  ring(picked, 9, "halo");
  const spot = ring(picked, 9, "picked");
  if (!spot) return;
  const isHigh = spot[1] < 28;
  const place = {
    x: Math.max(30, Math.min(view.width - 30, spot[0])), y: isHigh ? spot[1] + 25 : spot[1] - 15,
  };
  group.append(sketch("text", { ...place, class: "ecoval-map-word" }, `row ${picked.id}`));
}
