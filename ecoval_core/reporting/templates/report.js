"use strict";
(() => {
  const PAPER_WIDTH = 680;
  const NARROW = 560;
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const plots = [...document.querySelectorAll(".plot")];
  const config = { ...JSON.parse(document.getElementById("plot-config").textContent), responsive: true };

  function figureOf(node, isDark) {
    const kept = JSON.parse(document.getElementById(node.dataset.figure).textContent);
    for (const [path, value] of isDark ? kept.dark : []) {
      const last = path.pop();
      path.reduce((at, step) => at[step], kept.figure)[last] = value;
    }
    return kept.figure;
  }

  function fit(layout, width) {
    if (width >= NARROW) return;
    // Side by side they would lie over one another; the table says the same.
    for (const menu of layout.updatemenus ?? []) menu.type = "dropdown";
    layout.annotations = (layout.annotations ?? []).filter((note) => note.xref !== "paper");
  }

  function draw(isDark, width) {
    for (const node of plots) {
      const { data, layout } = figureOf(node, isDark);
      fit(layout, width ?? node.parentElement.clientWidth);
      if (width) layout.width = width;
      else layout.autosize = true;
      Plotly.react(node, data, layout, config);
    }
  }

  const drawForScreen = () => draw(prefersDark.matches);
  // Drawn into what is not shown, a figure would not know its width.
  document.documentElement.classList.add("scripted");
  for (const details of document.querySelectorAll("figure details")) details.open = false;
  drawForScreen();
  prefersDark.addEventListener("change", drawForScreen);
  addEventListener("beforeprint", () => draw(false, PAPER_WIDTH));
  addEventListener("afterprint", drawForScreen);
})();
