"""Chapter 3: Nesterov momentum."""

import sys

from jaxopt_edu.optimizers import nesterov
from jaxopt_edu.textbook.chapter import Chapter
from jaxopt_edu.textbook.chapters.nesterov.overshoot import overshoot, speed_at_best, two_balls
from jaxopt_edu.textbook.chapters.nesterov.stability import going_in_circles, limits

IDEA = """\
Momentum looks at the slope where it stands, although it knows where it is about to roll. Nesterov's
method asks for the slope at the place ahead. If the ground rises there, it brakes one step earlier.

In the form used here the parameters *are* the place ahead, so no second gradient is needed: after the
velocity has met the gradient it is applied once more. Against momentum only one thing changes: the newest
gradient counts 1 + α times in this step, instead of once.

On a quadratic that means: momentum shrinks a swinging direction by √α a step, Nesterov by √(α(1 − ηλ)).
Where ηλ is small the two are the same. Where it is near 1, in the steep directions, Nesterov's swing dies
at once. Where it is larger, the extra push turns against it: its limit of stability is 1/(1 + 2α) of
momentum's, half of it at α = 0.5 and little more than a third at α = 0.9."""

COSTS = """\
What momentum costs: one array of memory and two numbers to tune. Momentum's largest learning rates are
too large for it: its limit is 2(1 + α)/((1 + 2α)L), about 1.36/L at α = 0.9, where momentum bears 3.8/L."""

USE = """\
When you use momentum with a moderate η: it is damped better at no cost, and on convex functions its
convergence is proven where momentum may go in circles. On a problem that is close to a quadratic, with
both tuned, plain momentum is the faster one. In training with small learning rates the difference is
small."""

CHAPTER = Chapter(
    slug="nesterov",
    title="Nesterov momentum",
    opening=two_balls,
    idea=IDEA,
    equations=(
        r"v \leftarrow \alpha v - \eta \, g",
        r"w \leftarrow w + \alpha v - \eta \, g",
        r"z^2 - (1 + \alpha)(1 - \eta \lambda) \, z + \alpha (1 - \eta \lambda) = 0",
        r"\eta < \frac{2 (1 + \alpha)}{(1 + 2 \alpha) L}",
    ),
    pages=(sys.modules[nesterov.__module__],),
    experiments=(overshoot, limits, speed_at_best, going_in_circles),
    costs=COSTS,
    use=USE,
)
