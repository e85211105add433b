"""What was tried, and what held."""

from typing import NamedTuple


class Outcome(NamedTuple):
    """One row of the table.

    Attributes:
        what: what was done to what.
        tried: how often.
        held: how often it ended as it should.
        wrong: what happened where it did not.
    """

    what: str
    tried: int
    held: int
    wrong: tuple[str, ...] = ()


def table(outcomes: list[Outcome]) -> str:
    """The rows as Markdown."""
    lines = ["| what | tried | held |", "|---|---:|---:|"]
    lines += [f"| {each.what} | {each.tried:,} | {each.held:,} |" for each in outcomes]
    return "\n".join(lines)
