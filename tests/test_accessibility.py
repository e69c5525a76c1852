"""Every page with all that it can show, light and dark: axe finds nothing serious, and no word is cut off."""

from __future__ import annotations

import looks
import pytest
import tour
from browser import IN_CHROMIUM, idle, press, visiting, widget
from playwright.sync_api import expect

pytestmark = IN_CHROMIUM


# Some thirty screens, most of them at two widths.
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    "part", [tour.begin, tour.classify, tour.run_on], ids=lambda part: part.__name__
)
def test_no_page_has_a_serious_flaw_or_a_word_cut_off(browser, app_server, part, tmp_path):
    """A page is looked at in both themes and at every width, what else it can show in one and at two.

    Widths are looked at in one theme. A page stays in the second one, with which the next begins.
    """
    flaws, theme, other = [], "light", "dark"
    with visiting(browser, app_server.address, color_scheme=theme) as page:
        for seen in part(page, app_server, tmp_path):
            is_whole_page = "," not in seen
            flaws += looks.violations(page, seen, theme)
            flaws += looks.cut_off(page, seen, looks.WIDTHS if is_whole_page else looks.FEW_WIDTHS)
            if is_whole_page:
                looks.show_in(page, other)
                flaws += looks.violations(page, seen, other, colors_only=True)
                theme, other = other, theme
    assert not flaws, "\n".join(str(flaw) for flaw in sorted(set(flaws)))


def test_map_of_planted_errors_fits_a_small_screen(browser, app_server):
    size = {"width": 1280, "height": 800}
    with visiting(browser, app_server.address, viewport=size) as page:
        page.goto(f"{app_server.address}/explore?run={app_server.run}")
        expect(page.locator(".ecoval-map-pad")).to_be_visible()
        # What stands above the map: how many of the errors are among the lowest values.
        expect(widget(page, "prune_lowest")).to_be_visible()
        idle(page)
        box = widget(page, "pointmap_map").bounding_box()
        assert box["y"] + box["height"] <= size["height"]
        assert box["height"] > 0.45 * size["height"]


def test_charts_follow_a_change_of_theme(browser, app_server):
    with visiting(browser, app_server.address, color_scheme="light") as page:
        page.goto(app_server.address)
        press(page, "sample_wine")
        title = page.locator(".js-plotly-plot .gtitle").first
        expect(title).to_have_css("fill", "rgb(31, 41, 55)")
        idle(page)
        page.emulate_media(color_scheme="dark")
        expect(title).to_have_css("fill", "rgb(229, 231, 235)")
