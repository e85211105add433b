"""What may not stand inside of what, and the one line that says why.

The `Step` of a wrapper bears the traits below as class attributes that are True (see core/composition.py),
and an optimizer's page names them in `build(…, traits=(…))`.
"""

import optax

from jaxopt_edu.core.composition import bearer
from jaxopt_edu.core.foreign import checked_transform

REASONS = {
    "evaluates_elsewhere": (
        "{name} recommends another point than the one that it holds, and so does {owner}; use one of the two."
    ),
    "updates_are_final": (
        "the updates of {name} have to be added to the parameters as they are; write {name}({owner}(…))."
    ),
    "rests_between_steps": (
        "{name} makes a step only once in several calls, and {owner} acts at each; write {name}({owner}(…))."
    ),
    "scales_the_loss": (
        "{name} takes gradients of the scaled loss, and leaves steps out, of which {owner} would not know; "
        "write {name}({owner}(…))."
    ),
    "takes_new_gradient": (
        "{name} takes a gradient of its own, which {owner} cannot give or change; write {name}({owner}(…))."
    ),
    "decays": "the decay of {name} is no part of the direction that is looked at; write {name}({owner}(…)).",
    "names_leaves": (
        "{name} tells leaves apart, which packed arrays do not; put packed inside of it, or leave packed out."
    ),
    "packs": "{name} inside has laid the leaves end to end already; once is enough.",
    "holds_parameters": (
        "{name} keeps parameters in its state, which bfloat16 would round; write {name}({owner}(…))."
    ),
    "keeps_measures": (
        "{name} keeps what it measures in its state, which bfloat16 would round; write {name}({owner}(…))."
    ),
    "measures_from_the_start": (
        "{name} measures how far the parameters are from where they started, and bfloat16 would round the "
        "start by more than its first steps are long; leave {owner} out."
    ),
}


def check_inside(owner: str, optimizer: optax.GradientTransformation, *traits: str) -> None:
    """Refuse an optimizer that cannot stand inside of a wrapper.

    Args:
        owner: the wrapper's name, for the error.
        optimizer: what it is given.
        *traits: those that it cannot take, of `REASONS`.

    Raises:
        TypeError: optimizer is not an optax transform.
        ValueError: it, or something that it is composed of, has one of the traits.
    """
    transform = checked_transform(owner, "optimizer", optimizer)
    for trait in traits:
        if (name := bearer(transform, trait)) is not None:
            raise ValueError(f"{owner}: {REASONS[trait].format(name=name, owner=owner)}")
