"""What a folder's sweep is of, and what it was made with: spec.json."""

import json
import warnings
from pathlib import Path
from typing import Any

from jaxopt_edu.files import open_json, seal_json, whole_file
from jaxopt_edu.sweeps.folder.identity import versions

SPEC = "spec.json"
# Of the folder's JSON files; those of format 1 had no checksum.
FORMAT = 2


def write_spec(path: Path, spec: dict[str, Any], first_steps: int | None = None) -> None:
    """Write what is swept, and the versions that do it.

    Args:
        path: the sweep's folder.
        spec: what is swept; JSON.
        first_steps: of a sweep that is made longer, what it was begun with; None for a new one.
    """
    content = {"spec": spec, "versions": versions()}
    content |= {} if first_steps is None else {"first_steps": first_steps}
    with whole_file(path / SPEC) as file:
        file.write(seal_json(content, FORMAT, indent=1))


def read_spec(path: Path) -> dict[str, Any]:
    """The spec of a stored sweep, and the versions that it was made with.

    Args:
        path: the sweep's folder.

    Returns:
        {"spec": …, "versions": …, "first_steps": …}; the last is what it was begun with.

    Raises:
        FileNotFoundError: there is no sweep in the folder.
        ValueError: the file is damaged.
    """
    file = path / SPEC
    if not file.is_file():
        raise FileNotFoundError(f"{path} holds no sweep: there is no {SPEC} in it.")
    try:
        content = open_json(file.read_bytes(), FORMAT)
        spec = dict(content["spec"])
        first = content.get("first_steps", spec.get("steps"))
        return {"spec": spec, "versions": dict(content["versions"]), "first_steps": first}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} is damaged ({error}). Without it nothing can be resumed; if the sweep was finished, "
            "load still reads its result. Choose another folder for a new one."
        ) from error


def stored_every(path: Path) -> int | None:
    """The steps between two evaluations of a stored sweep that nobody prunes.

    Args:
        path: the sweep's folder.

    Returns:
        None where there is no such sweep, or too few evaluations to tell.
    """
    if not (path / SPEC).is_file():
        return None
    spec = read_spec(path)["spec"]
    evaluated_at = spec.get("evaluated_at", [])
    return evaluated_at[1] if len(evaluated_at) > 2 and spec.get("prune") == repr(None) else None


def longer(path: Path, spec: dict[str, Any]) -> int | None:
    """Whether a sweep is the stored one, only with more steps.

    Without a pruner a run depends on the number of its steps in nothing but its end.

    Args:
        path: the sweep's folder.
        spec: what is to be swept.

    Returns:
        How many steps the stored one has; None if this is not it, made longer.

    Raises:
        ValueError: it has fewer steps, or is judged or evaluated at other steps.
    """
    stored = read_spec(path)["spec"]
    ends = ("steps", "evaluated_at")
    before, now = stored.get("steps"), spec.get("steps")
    asked = json.loads(json.dumps(spec))
    if before == now or any(stored.get(name) != asked.get(name) for name in asked if name not in ends):
        return None
    there = f"sweep: {path} holds this sweep with steps: {before} there, {now} here"
    if stored.get("prune") != repr(None):
        raise ValueError(
            f"{there}, and its pruner judges at steps that depend on them: {stored['prune']}. Choose another "
            "folder."
        )
    if now < before:
        raise ValueError(f"{there}: a sweep can be made longer, but not shorter. Its curves have all steps.")
    same = stored["evaluated_at"][:-1]
    if asked["evaluated_at"][: len(same)] != same:
        raise ValueError(
            f"{there}, and evaluates at {same}, but here at {asked['evaluated_at'][: len(same)]}: leave out "
            "every= to go on as it was begun."
        )
    return before


def compare(path: Path, spec: dict[str, Any]) -> None:
    """Refuse another sweep than the one in a folder, and tell other versions.

    Args:
        path: the folder.
        spec: what is to be swept.

    Raises:
        ValueError: it is another; says in what they differ.
    """
    found = read_spec(path)
    asked = json.loads(json.dumps(spec))
    others = [
        f"{name}: {found['spec'].get(name)!r} there, {asked.get(name)!r} here"
        for name in sorted(found["spec"].keys() | asked.keys())
        if found["spec"].get(name) != asked.get(name)
    ]
    now = versions()
    changed = [
        f"{name} {then}, now {now.get(name)}"
        for name, then in found["versions"].items()
        if then != now.get(name)
    ]
    if others:
        since = f" (It was made with {'; '.join(changed)}.)" if changed else ""
        raise ValueError(f"{path} holds another sweep: {'; '.join(others)}. Choose another folder.{since}")
    if changed:
        warnings.warn(
            f"{path} was made with {'; '.join(changed)}: runs from now on may differ in their last digits.",
            RuntimeWarning,
            stacklevel=4,
        )
