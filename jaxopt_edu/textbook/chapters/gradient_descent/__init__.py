"""Chapter 1: following the gradient."""

import sys

from jaxopt_edu.optimizers import sgd
from jaxopt_edu.textbook.chapter import Chapter
from jaxopt_edu.textbook.chapters.gradient_descent.elsewhere import escaping_a_saddle, limit_elsewhere
from jaxopt_edu.textbook.chapters.gradient_descent.quadratics import (
    condition_number,
    path_on_the_bowl,
    stability_limit,
)

IDEA = """\
You stand on a hillside in fog. You cannot see the valley, but you feel the slope under your feet: so you
take a step downhill, feel again, and go on. The gradient g is that slope. It says which way the ground
rises fastest *here*; it says nothing about where the valley ends, nor how far you may trust it.

How far to go is the one number of this method, the learning rate η. The step is η times the gradient:
long where it is steep, short where it is flat. That is the wrong way round. In the steep direction a long
step shoots across to the other side, and in the flat direction, where there is far to go, a short one
hardly moves.

On a quadratic all of this can be calculated. Along an axis of curvature λ one step multiplies the
distance to the minimum by 1 − ηλ. Between −1 and 1 it shrinks; so η must stay below 2/L, where L is the
steepest curvature of all. The flattest curvature μ then sets the pace, and the best that a single η can
do is to shrink both ends alike, by (κ − 1)/(κ + 1) a step, where κ = L/μ is the condition number. Every
other chapter is about getting around this line.

In training, g comes from a batch of examples and is noisy; hence *stochastic* gradient descent, SGD. The
rule is the same."""

COSTS = """\
Nothing but the gradient: no memory besides the parameters, two operations for each. It has one number to
tune, and it has to be tuned: a factor of two above the best learning rate may diverge, a factor of ten
below takes ten times as long. The largest learning rate that works depends on the scale of the loss and
of every input."""

USE = """\
When the problem is well conditioned (inputs standardised, layers normalised), when memory is short, or as
the yardstick by which the others are judged. When the loss falls fast at first and then creeps, the
condition number is the likely reason, and momentum the first remedy."""

CHAPTER = Chapter(
    slug="gradient-descent",
    title="Following the gradient",
    opening=path_on_the_bowl,
    idea=IDEA,
    equations=(
        r"g = \nabla f(w)",
        r"w \leftarrow w - \eta \, g",
        r"f(w) = \frac{1}{2} \lambda w^2 \; \Rightarrow \; w_t = (1 - \eta \lambda)^t \, w_0",
        r"\eta = \frac{2}{L + \mu} \; \Rightarrow \; |1 - \eta \lambda| \le \frac{\kappa - 1}{\kappa + 1}",
    ),
    pages=(sys.modules[sgd.__module__],),
    experiments=(stability_limit, limit_elsewhere, condition_number, escaping_a_saddle),
    costs=COSTS,
    use=USE,
)
