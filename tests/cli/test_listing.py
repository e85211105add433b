"""`list` names everything there is."""

import re

from jaxopt_edu import problems
from jaxopt_edu.cli import main
from jaxopt_edu.core.reading import describe
from jaxopt_edu.optimizers import FAMILIES, OPTIMIZERS


def test_everything_is_listed(capsys):
    assert main(["list"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    for factory in OPTIMIZERS:
        line = next(line for line in lines if line.strip().startswith(f"{factory.__name__}("))
        # What is long is folded over lines.
        defaults, idea = re.split(r"\s{2,}", line.strip())
        assert describe(factory()).startswith(defaults)
        assert len(idea.split()) >= 3
    titles = [line.strip() for line in lines if "(jaxopt-edu show NAME for the page)" in line]
    assert len(titles) == len(FAMILIES)
    assert sum(line.strip().startswith("Adaptive step lengths (") for line in lines) == 1
    for name in [*(surface.name for surface in problems.SURFACES), *problems.CORE, "digits", "mnist"]:
        assert any(line.split()[:1] == [name] for line in lines)
    for surface in problems.SURFACES:
        # A long formula is folded over lines.
        assert surface.formula.split()[0] in printed.out
    assert "\x1b" not in printed.out


def test_a_part_is_listed_alone(capsys):
    assert main(["list", "problems"]) == 0
    shown = capsys.readouterr().out
    assert "digits_vae" in shown
    assert "adam(" not in shown
    assert main(["list", "optimizers"]) == 0
    shown = capsys.readouterr().out
    assert "digits_vae" not in shown
    assert "adam(" in shown
