"""The optimizers of a sweep as JSON, and made again of it."""

import operator
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from jaxopt_edu.core.naming import hyperparameters
from jaxopt_edu.core.reading import describe, show
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.recipes import NotWritableError, from_recipe, recipe


def write_optimizers(swept: Sequence[Optimizer], final: Sequence[Optimizer]) -> dict[str, Any]:
    """Write down a recipe for each structure, and for each setting its numbers.

    Args:
        swept: what was swept.
        final: what that became, setting by setting, where a pruner changed numbers on the way.

    Returns:
        JSON; `read_optimizers` reads it.
    """
    templates: list[Any] = []
    known: dict[Any, int | None] = {}

    def written(optimizer: Optimizer) -> Any:
        leaves, structure = jax.tree.flatten(optimizer)
        if not all(type(leaf) is float for leaf in leaves):
            return _whole(optimizer)
        if structure not in known:
            known[structure] = _template(optimizer, structure, templates)
        place = known[structure]
        return _whole(optimizer) if place is None else [place, leaves]

    same = all(map(operator.is_, swept, final))
    return {
        "optimizers": list(map(written, swept)),
        "final_optimizers": None if same else list(map(written, final)),
        "templates": templates,
    }


def read_optimizers(
    content: dict[str, Any], given: Sequence[Optimizer] | None, file: Path
) -> tuple[tuple[Optimizer, ...], tuple[Optimizer, ...]]:
    """Make optimizers again, of this format or of the first, which had a recipe for each.

    Args:
        content: JSON that holds what `write_optimizers` gave.
        given: the list that was swept, for those that no recipe can name; None if there is none.
        file: where it is from, for errors.

    Returns:
        What was swept, and what that became.

    Raises:
        ValueError: one cannot be made again, and none was given that it can be.
    """
    templates = [
        jax.tree.structure(_remade(each, f"template {place} of {file}"))
        for place, each in enumerate(content.get("templates", ()))
    ]
    is_described = _is_described if "templates" in content else _is_described_in_the_first_edition
    swept = _made(content["optimizers"], templates, given, file, is_described)
    moved = content["final_optimizers"]
    return swept, swept if moved is None else _made(moved, templates, given, file, is_described)


def _template(optimizer: Optimizer, structure: Any, templates: list[Any]) -> int | None:
    try:
        made = recipe(optimizer)
    except NotWritableError:
        return None
    if jax.tree.structure(from_recipe(made)) != structure:
        return None
    templates.append(made)
    return len(templates) - 1


def _whole(optimizer: Optimizer) -> dict[str, Any]:
    try:
        return {"description": describe(optimizer), "recipe": recipe(optimizer)}
    except NotWritableError as error:
        return {"description": describe(optimizer), "recipe": None, "reason": str(error)}


def _made(
    written: list[Any],
    templates: list[Any],
    given: Sequence[Optimizer] | None,
    file: Path,
    is_described: Callable[[Optimizer, str], bool],
) -> tuple[Optimizer, ...]:
    if given is not None and len(given) != len(written):
        raise ValueError(f"load: {file.parent} has {len(written)} optimizers, but {len(given)} were given.")
    made = []
    for place, each in enumerate(written):
        if isinstance(each, list):
            template, leaves = each
            made.append(jax.tree.unflatten(templates[template], leaves))
        elif each["recipe"] is not None:
            made.append(_remade(each["recipe"], f"optimizer {place} of {file}"))
        elif given is not None and is_described(given[place], each["description"]):
            made.append(given[place])
        else:
            other = "" if given is None else f", and optimizer {place} of those is {describe(given[place])}"
            raise ValueError(
                f"load: {file.parent} has {each['description']}, which cannot be made again of its "
                f"description ({each['reason']}): pass optimizers=, the list that was swept{other}."
            )
    return tuple(made)


def _is_described(optimizer: Optimizer, description: str) -> bool:
    return describe(optimizer) == description


def _is_described_in_the_first_edition(optimizer: Optimizer, description: str) -> bool:
    """The same, of descriptions that left out what is no number, and showed inner optimizers otherwise."""
    today = describe(optimizer)
    if today == description:
        return True
    shown = (f"{name.rpartition('.')[2]}={show(value)}" for name, value in hyperparameters(optimizer).items())
    same = today.partition("(")[0] == description.partition("(")[0]
    return same and all(re.search(rf"\b{re.escape(text)}[,)]", description) for text in shown)


def _remade(written: Any, what: str) -> Optimizer:
    try:
        return from_recipe(written)
    except ValueError as error:
        raise ValueError(f"load: {what} cannot be made again: {error}") from error
