"""Names of runs, tables, columns and classes that look like mark-up are shown as they were given."""

import json
import re
import time
from contextlib import suppress
from pathlib import Path

import pytest
import streamlit as st
from browser import (
    IN_CHROMIUM,
    ROOT,
    WITHOUT_MAPS,
    AppServer,
    idle,
    menu,
    press,
    running_server,
    visiting,
    widget,
)  # fmt: skip
from google.protobuf.message import Message
from playwright.sync_api import expect
from streamlit.testing.v1 import AppTest

from ecoval_core.workspace.workspace import forget

ENTRY = Path(__file__).parents[1] / "pages" / "main.py"
ODD_NAMES = [
    "[x](http://evil.example/a)", "![x](http://evil.example/b.png)", "<b>x</b><img src=//evil.example/c>",
    "<http://evil.example>", "http://evil.example/d", "https://u@evil.example:80/?a=b#c", "WWW.evil.example",
    "ada@evil.example", "mailto:ada@evil.example", "**bold** _it_ ~~s~~ `code`", ":red[x] :red-badge[y]",
    ":small[x] :help[x] :help", "$x$ and $$y$$", ":material/home: :smile: :streamlit: :+1:", "10. first",
    "1) x", "- item", "+ x", "# head", "> quote", "a -> b >= c -- d <-> e ~= f <- g", "&lt;b&gt; &amp; &#60;",
    "[^1]: note", "a | b", "x\\y \\*", "12:30:45", "C:\\data\\x.csv", "--", "***", "===", "```", "a  b\nc",
]  # fmt: skip
MARKDOWN_PAGE = """
import json, sys
import streamlit as st
from pages.shared.formats import plain
for number, name in enumerate(json.loads({names!r})):
    shown = plain(name)
    with st.container(key=f"name_{{number}}"):
        st.markdown(shown)
        st.markdown(f"**{{shown}}**")
        st.caption(f"{{shown}} · {{shown}}")
        st.subheader(shown, anchor=False)
        st.info(shown)
        st.button(shown, key=f"button_{{number}}")
        st.expander(shown)
"""
# Fields that the browser shows as they are, or not at all.
NO_MARKDOWN = {"id", "default", "value", "options", "raw_value", "raw_values"}
RAW_MARKDOWN, RAW_MARKUP = re.compile(r"(?<!\\)(<a |\[x\]\(http)"), re.compile("<a ")


def odd(name):
    return f'<a href="//evil.example">{name}</a> [x](http://evil.example/{name}) **b** :red[y]'


def quoted(*cells):
    return ",".join('"' + str(cell).replace('"', '""') + '"' for cell in cells)


def odd_csv():
    """A table of two classes and a category whose names and columns are odd."""
    rows = (
        quoted(odd(f"category {i % 3}"), i % 11, i % 7, odd("yes" if i % 7 > 3 else "no"))
        for i in range(90)
    )
    return "\n".join([quoted(odd("category"), odd("number"), "a", odd("target")), *rows]).encode()


# --- In the browser --------------------------------------------------------------------------


class TestInChromium:
    pytestmark = IN_CHROMIUM

    def test_markdown_shows_a_name_as_it_was_given(self, browser, tmp_path):
        script = tmp_path / "page.py"
        script.write_text(MARKDOWN_PAGE.format(names=json.dumps(ODD_NAMES)))
        server = AppServer(tmp_path, PYTHONPATH=str(ROOT))
        server.script = str(script)
        try:
            with visiting(browser, server.start().address) as page:
                page.goto(server.address)
                expect(widget(page, f"button_{len(ODD_NAMES) - 1}")).to_be_visible()
                idle(page)
                for number, name in enumerate(ODD_NAMES):
                    line = " ".join(name.split())
                    texts = widget(page, f"name_{number}").locator(
                        "[data-testid=stMarkdownContainer], [data-testid=stCaptionContainer], h3"
                    )
                    shown = [text.replace("\u2060", "") for text in texts.all_text_contents()]
                    assert len(shown) >= 7
                    assert set(shown) == {line, f"{line} · {line}"}
                for selector in ("a", "img", "li", "code", ".katex", "[role=img]", "em", "del"):
                    expect(page.locator(f".stMain .stMarkdown {selector}")).to_have_count(0)
        finally:
            server.stop()

    def test_odd_names_make_no_link_and_ask_nothing_of_their_host(self, browser, tmp_path):
        with (
            running_server(tmp_path, **WITHOUT_MAPS) as server,
            visiting(browser, server.address) as page,
        ):
            page.goto(server.address)
            file = {"name": f"{odd('f')}.csv", "mimeType": "text/csv", "buffer": odd_csv()}
            widget(page, "upload").locator("input").set_input_files(file)
            expect(widget(page, "status")).to_contain_text("90 rows")
            menu(page, "Value")
            press(page, "start")
            expect(page.get_by_text("What came out")).to_be_visible()
            for screen in ("Data", "Explore", "Labels", "Prune", "Compare", "Runs"):
                menu(page, screen)
                assert page.locator("[href*=evil], [src*=evil]").count() == 0, screen
            name = page.get_by_role("textbox", name="Name")
            name.fill(odd("run"))
            name.press("Enter")
            expect(page.get_by_role("heading", name="[x](http")).to_be_visible()
            idle(page)
            assert page.locator("[href*=evil], [src*=evil]").count() == 0


# --- On every page ---------------------------------------------------------------------------


def strings(message):
    """Every field of a message that is text, with its name."""
    for field, value in message.ListFields():
        several = isinstance(value, (str, bytes, Message)) or not hasattr(value, "__iter__")
        for one in [value] if several else value:
            if isinstance(one, Message):
                yield from strings(one)
            elif isinstance(one, str):
                yield field.name, one


def drawn_strings(value):
    """Texts of a chart, without what only tells its marks apart."""
    if isinstance(value, str):
        with suppress(ValueError):
            if isinstance(parsed := json.loads(value), (dict, list)):
                yield from drawn_strings(parsed)
                return
        yield value
    elif isinstance(value, dict):
        # A component says what it is called among others, and which view of which chart it shows.
        hidden = {"ids", "uirevision"} | ({"name", "view"} if "seen" in value else set())
        if "customdata" not in value.get("hovertemplate", ""):
            hidden.add("customdata")
        for key in value.keys() - hidden:
            yield from drawn_strings(value[key])
    elif isinstance(value, list):
        for one in value:
            yield from drawn_strings(one)


def raw_names(app):
    """Names that a page hands to Markdown or to a chart as they are."""
    found = []
    for node in app._tree:
        proto = getattr(node, "proto", None)
        for field, text in strings(proto) if isinstance(proto, Message) else ():
            if field in NO_MARKDOWN:
                continue
            if node.type in ("plotly_chart", "bidi_component"):
                found += [(node.type, one) for one in drawn_strings(text) if RAW_MARKUP.search(one)]
            elif RAW_MARKDOWN.search(text):
                found.append((node.type, field, text))
    return found


def run(changed):
    """Run until no job is being watched, as the fragment does in a browser; no name may be raw."""
    deadline = time.monotonic() + 300
    while True:
        app = changed.run()
        assert not app.exception, [error.message for error in app.exception]
        assert raw_names(app) == []
        is_waiting = any(button.key == "cancel" for button in app.button)
        if not is_waiting and not any("hourglass" in caption.value for caption in app.caption):
            return app
        changed = app
        assert time.monotonic() < deadline, "the job did not end"
        time.sleep(0.1)


def go(app, screen):
    return run(app.switch_page(f"{screen}.py"))


def value(app, seed):
    app.session_state["value_seed"] = seed
    run(app)
    return run(app.button(key="start").click())


@pytest.mark.pages
def test_no_page_hands_an_odd_name_to_markdown_or_to_a_chart(monkeypatch, tmp_path):
    st.cache_data.clear()
    monkeypatch.setenv("ECOVAL_WORKSPACE", str(tmp_path / "workspace"))
    app = AppTest.from_file(ENTRY, default_timeout=300)
    app.session_state["projection"] = "PCA"
    run(app)
    run(app.file_uploader(key="upload").set_value((f"{odd('f')}.csv", odd_csv(), "text/csv")))
    go(app, "value")
    value(app, 0)
    value(app, 1)
    go(app, "runs")
    for field in ("name", "note"):
        key = next(one.key for one in app.text_input if one.key.startswith(f"run_{field}"))
        run(app.text_input(key=key).set_value(odd(field)))
    run(app.button(key="delete_run").click())
    run(app.button(key="undo_delete").click())
    for screen in ("data", "labels", "prune", "method"):
        go(app, screen)
    go(app, "explore")
    app.session_state["ecoval"]["picked_id"] = int(app.dataframe[0].value.index[0])
    for column in app.multiselect(key="filter_columns").options:
        run(app.multiselect(key="filter_columns").set_value([column]))
    go(app, "prune")
    app.session_state["curve_measure"] = f"recall: {odd('yes')}"
    run(app)
    go(app, "compare")
    other_run = app.selectbox(key="compare_with").options[-1]
    assert "evil.example" in other_run
    run(app.selectbox(key="compare_with").set_value(other_run))
    go(app, "new_data")
    run(app.file_uploader(key="new_upload").set_value((f"{odd('g')}.csv", odd_csv(), "text/csv")))
    run(app.button(key="measure_acquisition").click())
    forget()
