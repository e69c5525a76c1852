"""The shape that the project promises: data flows one way, and the core knows no front end."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

CORE = Path(__file__).parents[1] / "ecoval_core"
# Each module imports only from those before it.
ORDER = (
    "reading", "columns", "tables", "vectorising", "preparation", "clustering", "scoring",
    "targets", "models", "fitting", "tasks", "refitting", "quality", "propagation", "planning",
    "attribution", "valuation", "cross_valuation", "uncertainty", "baselines", "curves", "pruning",
    "projection", "chart_style", "chart_colouring", "chart_map", "chart_data", "chart_curves",
    "chart_values", "charts", "runs", "exports", "stability", "jobs", "command_line", "__main__",
    "__init__",
)  # fmt: skip


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_importing_the_core_brings_in_neither_streamlit_nor_what_is_slow():
    code = (
        "import sys, pkgutil, importlib, ecoval_core\n"
        "for m in pkgutil.iter_modules(ecoval_core.__path__):\n"
        "    if m.name != '__main__': importlib.import_module('ecoval_core.' + m.name)\n"
        "print(sorted({'streamlit', 'umap', 'skrub'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", sorted(CORE.glob("*.py")), ids=lambda path: path.stem)
def test_modules_import_only_from_those_above_them(path):
    inner = [name.split(".")[1] for name in imports_of(path) if name.startswith("ecoval_core.")]
    place = ORDER.index(path.stem)
    assert [name for name in inner if ORDER.index(name) >= place] == []


@pytest.mark.parametrize(
    "path", sorted((CORE.parent / "pages").rglob("*.py")), ids=lambda path: path.stem
)
def test_pages_hold_no_mathematics(path):
    heavy = {"sklearn", "scipy", "umap", "joblib"}
    assert {name.split(".")[0] for name in imports_of(path)} & heavy == set()
