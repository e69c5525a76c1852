"""What a browser can tell of the looks of a page: words that are cut off, and what axe finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from axe_playwright_python.base import AXE_SCRIPT
from browser import idle
from playwright.sync_api import Page, expect

# The last is the width of a visit: to draw maps and charts again at another takes longest of all.
WIDTHS, FEW_WIDTHS = (390, 768, 1280), (390, 1280)
IMPACTS = {"serious", "critical"}
# What axe finds in Streamlit's own widgets that needs no mending: selectors by the id of the rule. A control
# that cannot be used may be pale (WCAG 1.4.3), but axe sees only of some of them that they cannot.
EXEMPT = {
    "color-contrast": (
        "[data-testid=stWidgetLabel][disabled] *",
        "[data-testid=stSliderThumbValue][disabled] *",
        "[data-disabled=true] *",
    ),
}
# Where words are cut on purpose or only seem to be: the menu measures each word on a second line and puts
# what does not fit behind "more", the parts of a formula lie over each other, and on a phone the name of
# the run ends in dots, so that the header is one line.
CUT_ON_PURPOSE = ("[data-testid=stTopNav]", ".st-key-run_menu *", ".katex", ".katex-display")

# Axe does not judge what is drawn inside a chart, of which there are thousands of parts.
_AXE = "(options) => axe.run({exclude: ['.js-plotly-plot .main-svg']}, options)"
_MATCHES = "(node, exempt) => node.matches(exempt)"
_CUT_OFF = """(exempt) => {
  const found = [], hides = /hidden|clip/;
  const told = (node) => node.innerText.trim().replaceAll(/\\s+/g, " ").slice(0, 60);
  for (const node of document.querySelectorAll("body *")) {
    if (!node.innerText?.trim() || node.matches(exempt) || node.closest(exempt)) continue;
    if (!node.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
    const style = getComputedStyle(node), box = node.getBoundingClientRect();
    // Text for screen readers alone is a pixel wide.
    if (box.width < 2 || box.height < 2 || style.display === "inline") continue;
    const isCut = (hides.test(style.overflowX) && node.scrollWidth > node.clientWidth + 1)
      || (hides.test(style.overflowY) && node.scrollHeight > node.clientHeight + 2);
    if (isCut && !node.querySelector(".katex-display")) found.push(`cut off: "${told(node)}"`);
    // An icon of the font is the word for it.
    const hasWords = !style.fontFamily.includes("Material")
      && [...node.childNodes].some((one) => one.nodeType === 3 && one.textContent.trim());
    if (hasWords && box.right > innerWidth + 1) found.push(`beyond the screen: "${told(node)}"`);
    if (hasWords && told(node).length > 3 && box.width < parseFloat(style.fontSize) * 1.2)
      found.push(`letter by letter: "${told(node)}"`);
  }
  for (const field of document.querySelectorAll("input[type=text], input:not([type])")) {
    if (field.checkVisibility() && field.value && field.scrollWidth > field.clientWidth + 1)
      found.push(`cut off in a field: "${field.value}"`);
  }
  for (const formula of document.querySelectorAll(".katex-display")) {
    const box = formula.getBoundingClientRect();
    if (box.width && box.left + formula.scrollWidth > innerWidth) found.push("a formula is cut off");
  }
  const main = document.querySelector("[data-testid=stMain]");
  if (main.scrollWidth > main.clientWidth + 1) found.push("the page is wider than the screen");
  for (const drawing of document.querySelectorAll(".js-plotly-plot .main-svg")) {
    const frame = drawing.getBoundingClientRect();
    for (const text of drawing.querySelectorAll("text")) {
      if (!text.textContent.trim() || !text.checkVisibility()) continue;
      const box = text.getBoundingClientRect();
      if (box.width && (box.left < frame.left - 2 || box.right > frame.right + 2
          || box.top < frame.top - 2 || box.bottom > frame.bottom + 2))
        found.push(`cut off in a chart: "${text.textContent.slice(0, 60)}"`);
    }
  }
  return [...new Set(found)];
}"""


@dataclass(frozen=True, order=True)
class Flaw:
    """What is wrong, and where."""

    seen: str
    where: str
    what: str

    def __str__(self):
        return f"{self.seen} ({self.where}): {self.what}"


def violations(page: Page, seen: str, theme: str, *, colors_only: bool = False) -> Iterator[Flaw]:
    """Find what axe calls serious or critical on the page as it is, or in its colours alone."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    # Frames of ours there are none, and looking for them would take a second.
    options = {"resultTypes": ["violations"], "iframes": False}
    if colors_only:
        options["runOnly"] = {"type": "rule", "values": ["color-contrast"]}
    for rule in page.evaluate(_AXE, options)["violations"]:
        if rule["impact"] not in IMPACTS:
            continue
        for node in rule["nodes"]:
            selector = node["target"][0]
            exempt = ", ".join(EXEMPT.get(rule["id"], ()))
            if not exempt or not page.locator(selector).first.evaluate(_MATCHES, exempt):
                reason = " ".join(node["failureSummary"].split())
                yield Flaw(seen, theme, f"{rule['id']}: {selector} {node['html'][:150]} {reason}")


def show_in(page: Page, theme: str) -> None:
    """Show a page light or dark."""
    page.emulate_media(color_scheme=theme)
    expect(page.get_by_test_id("stApp")).to_have_css("color-scheme", theme)
    idle(page)


def cut_off(page: Page, seen: str, widths: Sequence[int] = WIDTHS) -> Iterator[Flaw]:
    """Find words that are cut off at some widths; the page stays at the last."""
    for width in widths:
        page.set_viewport_size({"width": width, "height": page.viewport_size["height"]})
        # Charts and tables are drawn again a moment after the page has its new width; a flaw is what stays.
        flaws = []
        for _ in range(20):
            page.wait_for_timeout(350)
            flaws = page.evaluate(_CUT_OFF, ", ".join(CUT_ON_PURPOSE))
            if not flaws:
                break
        for what in flaws:
            yield Flaw(seen, f"{width} pixels", what)
