"""Chapter 4: AdaGrad."""

import sys

from jaxopt_edu.optimizers import adagrad
from jaxopt_edu.textbook.chapter import Chapter
from jaxopt_edu.textbook.chapters.adagrad.axes import per_coordinate, straight_path
from jaxopt_edu.textbook.chapters.adagrad.running_down import far_starts, running_down
from jaxopt_edu.textbook.chapters.adagrad.sparse import sparse_features

IDEA = """\
One learning rate has to serve all parameters, the steep and the flat, the ones that every example touches
and the ones that one in a thousand touches. AdaGrad gives every coordinate a step of its own. It sums up
the squares of a coordinate's gradients in h, and divides the step by √h: who has moved much moves less.

The scale of the gradient drops out. Multiply the loss by a thousand, or stretch one axis of a quadratic:
g and √h grow together, and the path is the same. The first step is η in every coordinate. So η has the
unit of the parameters, and says how far from the start the solution is expected.

The price is that h never shrinks. On a slope without end the steps fall like 1/√t. Near a minimum the
gradients fade, and h stops growing; but then it remembers the whole way there, and who came from far away
goes slowly for ever. In continuous time the end can be calculated: begun at a distance D, √h ends at
λD²/(4η)."""

COSTS = """\
One array of the parameters' size. η is easier to guess than SGD's, since it does not depend on the scale
of the loss, but it does depend on how far there is to go. What h has summed up is never forgotten."""

USE = """\
For one pass over data with rare features (words, users, items), and for convex problems with noise, where
steps that fall like 1/√t are what theory asks for. Not where the gradients' scale changes during
training: there h must forget, and the next chapter makes it."""

CHAPTER = Chapter(
    slug="adagrad",
    title="AdaGrad",
    opening=straight_path,
    idea=IDEA,
    equations=(
        r"h \leftarrow h + g^2",
        r"w \leftarrow w - \eta \, \frac{g}{\sqrt{h} + \varepsilon}",
        r"g = c \; \Rightarrow \; \frac{\eta \, g}{\sqrt{h}} = \frac{\eta}{\sqrt{t}}",
        r"f(w) = \frac{1}{2} \lambda w^2 \; \Rightarrow \; \sqrt{h} \to \frac{\lambda D^2}{4 \eta}",
    ),
    pages=(sys.modules[adagrad.__module__],),
    experiments=(per_coordinate, sparse_features, running_down, far_starts),
    costs=COSTS,
    use=USE,
)
