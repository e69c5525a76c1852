// What the map fetches: plotly.js, and packages of arrays, each once and from the server of the page.

const KEPT = 12;
const packages = new Map();
let plotly = null;
let lastNumber = 0;

/** Make the entry of a component: each element of the page has one object of a class. */
export function mounting(Kind) {
  const mounted = new WeakMap();
  return (component) => {
    const parent = component.parentElement;
    if (!mounted.has(parent)) mounted.set(parent, new Kind(parent));
    const element = mounted.get(parent);
    element.update(component);
    return () => {
      element.destroy();
      mounted.delete(parent);
    };
  };
}

/** Number of a gesture: larger than any before, also of an element that stood here earlier. */
export function nextNumber() {
  lastNumber = Math.max(lastNumber + 1, Date.now());
  return lastNumber;
}

/** Load plotly.js, once for the whole page. */
export function loadPlotly() {
  plotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("plotly.min.js", import.meta.url).href;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      plotly = null;
      script.remove();
      reject(new Error("plotly.js could not be loaded"));
    };
    document.head.append(script);
  });
  return plotly;
}

/** Load the style sheet of the map, once for the whole page. */
export function loadStyle() {
  const address = new URL("pointmap.css", import.meta.url).href;
  const known = document.querySelector(`link[href="${address}"]`);
  if (known) return known.loaded;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = address;
  link.loaded = new Promise((resolve) => {
    link.onload = link.onerror = resolve;
  });
  document.head.append(link);
  return link.loaded;
}

/** Fetch a package: its words, and its arrays by name. The last few are kept. */
export function fetchPackage(address) {
  let known = packages.get(address);
  packages.delete(address);
  known ??= unpack(address).catch((error) => {
    packages.delete(address);
    throw error;
  });
  packages.set(address, known);
  if (packages.size > KEPT) packages.delete(packages.keys().next().value);
  return known;
}

const ARRAYS = { f4: Float32Array, f8: Float64Array, u1: Uint8Array, u4: Uint32Array, bytes: Uint8Array };

async function unpack(address) {
  const answer = await fetch(new URL(`../${address}`, import.meta.url));
  if (!answer.ok) throw new Error(`The map's data could not be loaded (${answer.status}).`);
  const buffer = await answer.arrayBuffer();
  const headLength = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, headLength)));
  const arrays = {};
  for (const [name, [kind, at, length]] of Object.entries(head.sections)) {
    const Kind = ARRAYS[kind];
    arrays[name] = new Kind(buffer, 4 + headLength + at, length / Kind.BYTES_PER_ELEMENT);
  }
  return { ...arrays, words: head.words };
}

/** One text of a package of texts. */
export function textAt(texts, i) {
  const begin = i ? texts.ends[i - 1] : 0;
  return new TextDecoder().decode(texts.utf8.subarray(begin, texts.ends[i]));
}

/** Bits, one a point, as bytes of 0 and 1; null stays null. */
export function bits(packed, n) {
  if (packed === null || packed === undefined) return null;
  const bytes = atob(packed);
  const mask = new Uint8Array(n);
  for (let i = 0; i < n; i++) mask[i] = (bytes.charCodeAt(i >> 3) >> (i & 7)) & 1;
  return mask;
}
