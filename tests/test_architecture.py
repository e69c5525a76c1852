"""The shape that the project promises: data flows one way, and the core knows no front end."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

CORE = Path(__file__).parents[1] / "ecoval_core"
PAGES = CORE.parent / "pages"
SMALL = {"target_type", "text"}
DATA = {"files", "columns", "tables"}
METHOD = {"models", "valuation", "evaluation"}
# What each package may import of the others; CONTRIBUTING.md draws it.
MAY_IMPORT = {
    "target_type": set(),
    "text": set(),
    "files": {"text"},
    "columns": {"files", *SMALL},
    "tables": {*DATA, *SMALL},
    "models": {"target_type"},
    "valuation": {"target_type", "models"},
    "evaluation": {*METHOD, *SMALL},
    "workspace": {*DATA, *METHOD, *SMALL},
    "runs": {*DATA, *METHOD, *SMALL, "workspace"},
    "work": {*DATA, *METHOD, *SMALL, "workspace", "runs"},
    "charts": SMALL,
    "reporting": {*METHOD, *SMALL, "workspace", "runs", "charts"},
    "terminal": {*DATA, *METHOD, "text", "workspace", "runs"},
    "commands": {*DATA, *METHOD, *SMALL, "workspace", "runs", "terminal"},
    "command_line": {
        *DATA, *METHOD, *SMALL, "commands", "workspace", "runs", "reporting", "terminal", "notebook",
    },
    "__main__": {"command_line"},
    "notebook": {"files", "tables", "valuation", "work", "workspace", "runs"},
    "__init__": {"models", "notebook", "valuation"},
}  # fmt: skip


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages_imported_by(path):
    names = (name.split(".") for name in imports_of(path) if name.startswith("ecoval_core."))
    return {parts[1] for parts in names if parts[1] in MAY_IMPORT}


def test_packages_import_only_from_those_before_them():
    found = {}
    for path in CORE.rglob("*.py"):
        package = path.relative_to(CORE).parts[0].removesuffix(".py")
        found.setdefault(package, set()).update(packages_imported_by(path) - {package})
    assert set(found) == set(MAY_IMPORT), "a package without a place in the order"
    assert {name: found[name] - allowed for name, allowed in MAY_IMPORT.items()} == {
        name: set() for name in MAY_IMPORT
    }


def test_modules_of_a_package_do_not_import_in_circles():
    arrows = {}
    for path in CORE.rglob("*.py"):
        module = ".".join(path.relative_to(CORE.parent).with_suffix("").parts)
        arrows[module] = {name for name in imports_of(path) if name.startswith("ecoval_core")}
    arrows = {module: targets & set(arrows) for module, targets in arrows.items()}
    while free := {module for module, targets in arrows.items() if not targets & set(arrows)}:
        arrows = {module: targets for module, targets in arrows.items() if module not in free}
    assert arrows == {}


@pytest.mark.slow
def test_importing_the_core_needs_nothing_that_windows_lacks_nor_streamlit_nor_what_is_slow():
    code = (
        "import sys, pkgutil, importlib\n"
        "for name in ('fcntl', 'resource', 'pwd', 'grp', 'termios'): sys.modules[name] = None\n"
        "import ecoval_core\n"
        "for m in pkgutil.walk_packages(ecoval_core.__path__, 'ecoval_core.'):\n"
        "    if not m.name.endswith('__main__'): importlib.import_module(m.name)\n"
        "print(sorted({'streamlit', 'umap', 'skrub'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_pages_hold_no_mathematics():
    for path in PAGES.rglob("*.py"):
        modules = {name.split(".")[0] for name in imports_of(path)}
        assert not modules & {"sklearn", "scipy", "umap", "joblib"}, path


def test_only_one_module_touches_streamlit_s_state():
    texts = {path.name: path.read_text(encoding="utf-8") for path in PAGES.rglob("*.py")}
    assert [name for name, text in texts.items() if "session_state" in text] == ["session.py"]


def test_icons_are_material_ones_and_no_emoji():
    emoji = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b50\ufe0f]")
    kinds = {".py", ".js", ".css", ".html", ".jinja", ".j2", ".md"}
    told = [
        f"{path.name}: {found[0]!r}"
        for folder in (CORE, PAGES)
        for path in folder.rglob("*")
        if path.suffix in kinds and (found := emoji.search(path.read_text(encoding="utf-8")))
    ]
    assert told == []
