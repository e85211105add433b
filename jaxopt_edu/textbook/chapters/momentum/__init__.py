"""Chapter 2: momentum."""

import sys

from jaxopt_edu.optimizers import momentum
from jaxopt_edu.textbook.chapter import Chapter
from jaxopt_edu.textbook.chapters.momentum.noise import averaging_noise
from jaxopt_edu.textbook.chapters.momentum.quadratics import acceleration, best_pair
from jaxopt_edu.textbook.chapters.momentum.zigzag import famous_picture, zigzag

IDEA = """\
A ball that rolls down a hillside does not stop and think at every step: it keeps its speed. Momentum
gives the parameters a velocity v. Each gradient changes the velocity a little, and the velocity moves the
parameters. Without new pushes it dies away, by a factor α a step.

Along the valley the gradients all point the same way. Their pushes add up, to 1/(1 − α) times a single
one: with α = 0.9 the ball runs ten times as fast as SGD with the same η. Across the valley they
alternate, and mostly cancel. That is the usual story, and it is told with a picture in which the two
methods have different learning rates.

The exact story is on the quadratic. Position and velocity together make a step a matrix of two rows, and
its largest eigenvalue decides. With α large enough both directions swing, and then both shrink by exactly
√α a step, *whatever their curvatures*. That is where the speed comes from: steep and flat directions
share one pace. The best pair brings SGD's (κ − 1)/(κ + 1) down to (√κ − 1)/(√κ + 1)."""

COSTS = """\
One more array of the parameters' size, and one more number to tune. The learning rate of SGD is not that
of momentum: a steady slope is taken at η/(1 − α), so who adds α = 0.9 to a tuned SGD begins with a tenth
of its η. A ball also overshoots: after a minimum it rolls up the other side."""

USE = """\
Nearly always instead of plain SGD when gradients are reasonably exact (large batches), and the problem is
badly conditioned. When noise rules and η is small it changes little but the name of the learning rate. If
it oscillates, lower η or α; the worse the conditioning, the closer to 1 α may be."""

CHAPTER = Chapter(
    slug="momentum",
    title="Momentum",
    opening=famous_picture,
    idea=IDEA,
    equations=(
        r"v \leftarrow \alpha v - \eta \, g",
        r"w \leftarrow w + v",
        r"z^2 - (1 + \alpha - \eta \lambda) \, z + \alpha = 0",
        r"\alpha = \left( \frac{\sqrt{L} - \sqrt{\mu}}{\sqrt{L} + \sqrt{\mu}} \right)^2",
        r"\eta = \left( \frac{2}{\sqrt{L} + \sqrt{\mu}} \right)^2",
    ),
    pages=(sys.modules[momentum.__module__],),
    experiments=(zigzag, acceleration, best_pair, averaging_noise),
    costs=COSTS,
    use=USE,
)
