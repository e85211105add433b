"""What an import costs, which way imports point, and what is public."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxopt_edu

ROOT = Path(jaxopt_edu.__file__).parent
EXTRAS = (
    "bokeh equinox flax matplotlib mlflow msgpack optuna orbax pandas PIL pyarrow rich sklearn tensorboard "
    "torch typer wandb xarray"
)
# From the bottom; an import may only point to a lower line, or stay within its own name.
LAYERS = (
    {"core", "files"},
    {"optimizers", "schedules", "storage"},
    {"wrappers", "processes", "fingerprints", "trackers"},
    {"problems", "recipes"},
    {"training"},
    {"losses"},
    {"plots", "diagnosis"},
    {"sweeps"},
    {"race", "rates"},
    {"textbook"},
    {"cli"},
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# The public surface stands on everything that it is made of: only what it leaves out may import from it.
SURFACE = RANK["plots"]
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


# What the optimizers do not need, and an import need not wait for.
LATER = (
    "jax.extend jax.experimental.multihost_utils jax.experimental.pallas concurrent.futures.thread statistics"
)
# Parts of the package that every import pays for.
AT_ONCE = {"core", "files", "optimizers", "schedules"}


@pytest.fixture(scope="module")
def loaded():
    """The modules that an import of the package brings, beyond those of jax and optax."""
    code = "import sys, jax, optax; known = {*sys.modules}; import jaxopt_edu; print(*{*sys.modules} - known)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_import_brings_in_no_extra(loaded):
    assert "jaxopt_edu.core" in loaded
    assert {name.split(".")[0] for name in loaded} & set(EXTRAS.split()) == set()


def test_import_brings_in_the_optimizers_and_nothing_heavy(loaded):
    own = {name.split(".")[1] for name in loaded if name.startswith("jaxopt_edu.")}
    assert {"core", "optimizers"} <= own <= AT_ONCE
    assert [name for name in LATER.split() if name in loaded] == []
    # Each costs a third of a millisecond at least: a page for each optimizer, and few besides.
    pages = {name for name in loaded if name.startswith("jaxopt_edu.optimizers.")}
    assert len(loaded - pages) < 40


def test_names_that_come_later_are_where_type_checkers_see_them():
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: (node.module or "").removeprefix("jaxopt_edu").removeprefix(".")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == jaxopt_edu._HOMES | dict.fromkeys(jaxopt_edu._MODULES, "")
    assert seen.keys() <= set(jaxopt_edu.__all__)


def test_all_names_are_listed_and_others_are_refused():
    code = "import jaxopt_edu as jo; print(*dir(jo)); from jaxopt_edu import *; print(fit, sweeps.Halving)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(jaxopt_edu.__all__) <= set(run.stdout.split())
    with pytest.raises(AttributeError, match="module 'jaxopt_edu' has no attribute 'adamm'"):
        jaxopt_edu.adamm  # noqa: B018


def imported_modules(path: Path) -> set[str]:
    """Dotted names of everything of the package that a file imports, inside functions too."""
    found = set()
    package = (ROOT.name, *path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*parents, *filter(None, [node.module])))
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == ROOT.name}


def layer(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def violations(own: str, imported: set[str]) -> list[str]:
    others = {name: (*name.split("."), "")[1] for name in imported}
    return sorted(
        f"{own} imports {name}"
        for name, other in others.items()
        if other != own and RANK.get(other, SURFACE) >= RANK[own]
    )


def test_every_module_has_a_layer():
    assert {layer(path) for path in FILES} <= RANK.keys(), "a new layer: put it into LAYERS"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_down(path):
    assert violations(layer(path), imported_modules(path)) == []


def test_an_import_that_points_up_would_be_seen(tmp_path):
    assert violations("core", {"jaxopt_edu.optimizers.adam"}) == ["core imports jaxopt_edu.optimizers.adam"]
    assert violations("optimizers", {"jaxopt_edu.schedules"}) == ["optimizers imports jaxopt_edu.schedules"]
    assert violations("plots", {"jaxopt_edu"}) == ["plots imports jaxopt_edu"]
    assert violations("cli", {"jaxopt_edu", "jaxopt_edu.adam", "jaxopt_edu.core.trees"}) == []
    assert imported_modules(ROOT / "optimizers" / "__init__.py") >= {
        "jaxopt_edu.optimizers.adaptive.adam",
        "jaxopt_edu.optimizers.descent.SgdState",
    }


def public_names() -> list[tuple[str, str]]:
    names = [module.name for module in pkgutil.walk_packages([str(ROOT)], "jaxopt_edu.") if module.ispkg]
    modules = [importlib.import_module(name) for name in ("jaxopt_edu", *names)]
    return [(module.__name__, name) for module in modules for name in getattr(module, "__all__", ())]


@pytest.mark.parametrize(("module", "name"), public_names())
def test_public_names_exist_and_say_what_they_take_and_give(module, name):
    value = getattr(importlib.import_module(module), name)
    if not callable(value):
        return
    documentation = inspect.getdoc(value)
    assert documentation, "no docstring"
    if inspect.isfunction(value):
        signature = inspect.signature(value)
        assert "Args:" in documentation or not signature.parameters
        for parameter in signature.parameters:
            assert f"{parameter}:" in documentation, f"argument {parameter} is not described"
        returns_nothing = signature.return_annotation in (None, "None")
        assert returns_nothing or "Returns:" in documentation or "Yields:" in documentation


@pytest.mark.parametrize("name", ["optimizers", "core", "schedules", "problems"])
def test_the_promised_modules_are_public(name):
    assert inspect.ismodule(getattr(jaxopt_edu, name))


def test_the_changelog_knows_the_version():
    version = re.fullmatch(r"(\d+\.\d+\.\d+)(\.dev\d+)?", jaxopt_edu.__version__)
    assert version, "major.minor.patch, and .dev0 while it is not released"
    heads = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert heads[0] == "Unreleased" if version[2] else heads[0] == version[1]
    assert heads[-1] == "0.1.0"


def test_the_promised_names_are_public():
    optimizers = "sgd momentum nesterov adagrad adadelta rmsprop adam"
    tools = "hyperparameters replace describe stack chain lift schedules problems"
    assert {*optimizers.split(), *tools.split()} <= set(jaxopt_edu.__all__)
    assert jaxopt_edu.__all__ == sorted(jaxopt_edu.__all__, key=lambda name: (name[0].islower(), name))
