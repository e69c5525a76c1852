"""Names of runs, tables, columns and classes that look like mark-up are shown as they were given."""

import json
import re
from contextlib import suppress

import pytest
import screens
from browser import IN_CHROMIUM, ROOT, AppServer, idle, visiting, widget
from google.protobuf.message import Message
from playwright.sync_api import expect
from screens import go, kept, open_app, press, put, upload, value, wait

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


# --- On every page ---------------------------------------------------------------------------


def strings(message):
    """Every field of a message that is text, with its name."""
    for field, content in message.ListFields():
        is_one = isinstance(content, (str, bytes, Message)) or not hasattr(content, "__iter__")
        for one in [content] if is_one else content:
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


@pytest.mark.pages
@pytest.mark.usefixtures("fresh_server")
def test_no_page_hands_an_odd_name_to_markdown_or_to_a_chart(monkeypatch):
    check = screens.check

    def check_names(app):
        assert raw_names(check(app)) == []
        return app

    monkeypatch.setattr(screens, "check", check_names)
    app = upload(open_app(), f"{odd('f')}.csv", odd_csv())
    app.session_state["projection"] = "PCA"
    value(app)
    wait(press(put(app, value_seed=1), "start"))
    go(app, "runs")
    for field in ("name", "note"):
        key = next(one.key for one in app.text_input if one.key.startswith(f"run_{field}"))
        put(app, **{key: odd(field)})
    press(press(app, "delete_run"), "undo_delete")
    for screen in ("data", "labels", "prune", "method", "explore"):
        wait(go(app, screen))
    kept(app)["picked_id"] = int(app.dataframe[0].value.index[0])
    for column in app.multiselect(key="filter_columns").options:
        put(app, filter_columns=[column])
    wait(put(go(app, "prune"), curve_measure=f"recall: {odd('yes')}"))
    wait(go(app, "compare"))
    other_run = app.selectbox(key="compare_with").options[-1]
    assert "evil.example" in other_run
    wait(put(app, compare_with=other_run))
    upload(go(app, "new_data"), f"{odd('g')}.csv", odd_csv(), "new_upload")
    wait(press(app, "measure_acquisition"))
