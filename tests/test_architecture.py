"""Who may import whom (DESIGN.md §3), and that planning stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # seconds together


ROOT = Path(__file__).parent.parent
PACKAGES = ("compute", "stages", "runtime", "reports", "sample")

ALLOWED = {
    # the foundation: modules directly in pipeline/ may use each other, and config composes the stages' parameters
    "compute": {"compute", "errors"},
    "stages": {"stages", "compute", "schemas", "errors", "params"},
    "reports": {"reports", "compute", "schemas", "errors", "stages", "field_types", "plain_yaml"},
    "sample": {"sample", "errors"},
    "runtime": {
        *PACKAGES,
        "config",
        "workspace",
        "commits",
        "tablestore",
        "parts",
        "storage",
        "digests",
        "schemas",
        "errors",
    }
    | {"params", "resources", "failures", "stopping"},
}


def modules() -> list[Path]:
    return sorted((ROOT / "pipeline").rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Dotted names of everything a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    wrong = [
        (path.name, name)
        for path in modules()
        if path.parts[len(ROOT.parts) + 1] == package
        for name in imported(path)
        if name.startswith("pipeline.") and name.split(".")[1] not in ALLOWED[package]
    ]
    assert wrong == []


def test_only_the_runtime_imports_ray() -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        for name in imported(path)
        if name.split(".")[0] == "ray"
    }
    assert users == {f"pipeline/runtime/ray_{part}.py" for part in ("engine", "watch", "workers")}


def test_compute_knows_no_arrow_tables_and_no_files() -> None:
    """But for an extractor's weights, which are part of it."""
    forbidden = ("pyarrow", "fsspec", "s3fs")
    users = [
        (path.name, name)
        for path in modules()
        if path.parts[len(ROOT.parts) + 1] == "compute"
        for name in imported(path)
        if name.split(".")[0] in forbidden and path.name != "weights.py"
    ]
    assert users == []


@pytest.mark.slow
def test_planning_loads_no_heavy_library() -> None:
    heavy = ("torch", "torchvision", "faiss", "sklearn", "onnxruntime", "ray", "matplotlib", "skimage", "PIL")
    code = (
        "import sys, pipeline.cli, pipeline.config, pipeline.runtime.run, pipeline.runtime.survey;"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_modules_stay_small() -> None:
    long = {path.name: lines for path in modules() if (lines := len(path.read_text().splitlines())) > 400}
    assert long == {}
