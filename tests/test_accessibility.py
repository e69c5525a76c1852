"""Every page with all that it can show, light and dark: axe finds nothing serious, and no word is cut off."""

from __future__ import annotations

import looks
import pytest
import tour
from browser import IN_CHROMIUM, idle, press, running_server, visiting, widget
from playwright.sync_api import expect

pytestmark = IN_CHROMIUM


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("looks")) as server:
        yield server


# Some thirty screens, each in two themes and at every width.
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    "part", [tour.begin, tour.classify, tour.run_on], ids=lambda part: part.__name__
)
def test_no_page_has_a_serious_flaw_or_a_word_cut_off(browser, server, part, tmp_path):
    """A page is looked at in both themes and at every width, what else it can show in one and at two.

    Words are cut off in one theme or in both, so widths are looked at in one.
    """
    flaws = []
    with visiting(browser, server.address, color_scheme="light") as page:
        page.goto(server.address)
        for seen in part(page, tmp_path):
            flaws += looks.violations(page, seen, "light")
            is_whole_page = "," not in seen
            flaws += looks.cut_off(page, seen, looks.WIDTHS if is_whole_page else looks.FEW_WIDTHS)
            if is_whole_page:
                with looks.dark(page):
                    flaws += looks.violations(page, seen, "dark")
    assert not flaws, "\n".join(str(flaw) for flaw in sorted(set(flaws)))


def test_map_of_the_demo_fits_a_small_screen(browser, server):
    size = {"width": 1280, "height": 800}
    with visiting(browser, server.address, viewport=size, color_scheme="light") as page:
        page.goto(server.address)
        press(page, "demo")
        expect(page.get_by_role("heading", name="Explore", exact=True)).to_be_visible()
        expect(page.locator(".ecoval-map-pad")).to_be_visible()
        expect(widget(page, "prune_lowest")).to_be_visible()
        idle(page)
        # A line above the map says so as long as UMAP is being worked out.
        expect(page.get_by_text("Shown by PCA")).to_have_count(0)
        idle(page)
        box = widget(page, "pointmap_map").bounding_box()
        assert box["y"] + box["height"] <= size["height"]
        assert box["height"] > 0.45 * size["height"]


def test_charts_follow_a_change_of_theme(browser, server):
    with visiting(browser, server.address, color_scheme="light") as page:
        page.goto(server.address)
        press(page, "sample_wine")
        title = page.locator(".js-plotly-plot .gtitle").first
        expect(title).to_have_css("fill", "rgb(31, 41, 55)")
        idle(page)
        page.emulate_media(color_scheme="dark")
        expect(title).to_have_css("fill", "rgb(229, 231, 235)")
