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


def write_spec(path: Path, spec: dict[str, Any]) -> None:
    """Write what is swept, and the versions that do it.

    Args:
        path: the sweep's folder.
        spec: what is swept; JSON.
    """
    with whole_file(path / SPEC) as file:
        file.write(seal_json({"spec": spec, "versions": versions()}, FORMAT, indent=1))


def read_spec(path: Path) -> dict[str, Any]:
    """The spec of a stored sweep, and the versions that it was made with.

    Args:
        path: the sweep's folder.

    Returns:
        {"spec": …, "versions": …}.

    Raises:
        FileNotFoundError: there is no sweep in the folder.
        ValueError: the file is damaged.
    """
    file = path / SPEC
    if not file.is_file():
        raise FileNotFoundError(f"{path} holds no sweep: there is no {SPEC} in it.")
    try:
        content = open_json(file.read_bytes(), FORMAT)
        return {"spec": dict(content["spec"]), "versions": dict(content["versions"])}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} is damaged ({error}). Without it nothing can be resumed; if the sweep was finished, "
            "load still reads its result. Choose another folder for a new one."
        ) from error


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
