"""Chapter 6: Adadelta, and the learning rate that it has after all."""

import sys

from jaxopt_edu.optimizers import adadelta
from jaxopt_edu.textbook.chapter import Chapter
from jaxopt_edu.textbook.chapters.adadelta.epsilon import needs_no_learning_rate, root_of_epsilon
from jaxopt_edu.textbook.chapters.adadelta.tuning import one_for_all, units

CHAPTER = Chapter(
    slug="adadelta",
    title="Adadelta",
    opening=needs_no_learning_rate,
    idea="""
A gradient has units: loss per metre, if the parameter is a length. RMSProp divides it by its recent size,
which leaves a bare number, and then η has to say how many metres a step is. Adadelta asks for no such number.
It takes the length from its own past: it keeps a second moving average, of the squares of its steps, and
multiplies by the root of it.

A method that takes its step length from its earlier steps cannot begin: the average of no steps is 0. So ε is
added under both roots, and in the numerator it is no safeguard. **√ε is the length from which the steps start
to grow**, and it is chosen without knowing the problem.
""",
    equations=(
        r"h \leftarrow \rho h + (1 - \rho) g^2",
        r"\Delta = \frac{\sqrt{u + \varepsilon}}{\sqrt{h + \varepsilon}} g",
        r"u \leftarrow \rho u + (1 - \rho) \Delta^2",
        r"w \leftarrow w - \eta \Delta",
    ),
    pages=(sys.modules[adadelta.__module__],),
    experiments=(root_of_epsilon, units, one_for_all),
    costs="""
Two numbers of memory for each parameter, as much as Adam; one root, of a quotient, and one division. It
starts slowly: at the default ε its first steps are a few thousandths long. What has to be tuned is ε, or
η on top of it; they do much the same.
""",
    use="""
Use it to reproduce papers that did. Its idea, steps that carry the parameters' units, is worth knowing, and
its speed depends less on ε than that of other methods on η. But a method with a learning rate that is
*called* one is easier to tune: take Adam.
""",
)
