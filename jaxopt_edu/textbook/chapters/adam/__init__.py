"""Chapter 7: Adam, how it begins, what it adapts to, and where it fails."""

import sys

from jaxopt_edu.optimizers import adam
from jaxopt_edu.textbook.chapter import Chapter
from jaxopt_edu.textbook.chapters.adam.axes import angles, narrow_valley
from jaxopt_edu.textbook.chapters.adam.beginning import does_correction_matter, first_steps
from jaxopt_edu.textbook.chapters.adam.convergence import counterexample, rare_gradients

CHAPTER = Chapter(
    slug="adam",
    title="Adam",
    opening=narrow_valley,
    idea="""
Momentum says where to go: a moving average of gradients, in which what alternates cancels. RMSProp says how
far: a moving average of squared gradients, coordinate by coordinate. Adam takes both, the direction m from
the one and the scale √v from the other.

Both averages start at 0, and for a while they are too small. After t steps the weights in an average add up
to 1 − βᵗ and not to 1. **Adam divides by what they add up to**, and so m̂ and v̂ are true averages from the
first step on.

What it adapts to is the *axes*. Each parameter has a scale of its own, so a problem that is badly scaled
parameter by parameter becomes a round one. A valley that runs diagonally between two parameters has the same
scale along both, and there Adam has nothing to divide out.
""",
    equations=(
        r"m \leftarrow \beta_1 m + (1 - \beta_1) g",
        r"v \leftarrow \beta_2 v + (1 - \beta_2) g^2",
        r"\hat{m} = \frac{m}{1 - \beta_1^t}, \quad \hat{v} = \frac{v}{1 - \beta_2^t}",
        r"w \leftarrow w - \eta \frac{\hat{m}}{\sqrt{\hat{v}} + \varepsilon}",
    ),
    pages=(sys.modules[adam.__module__],),
    experiments=(angles, first_steps, does_correction_matter, counterexample, rare_gradients),
    costs="""
Two numbers of memory for each parameter, one root and three divisions. η has to be tuned and has to fall
at the end of training; β₁ and β₂ seldom, unless batches are small and rare examples matter: then β₂ has
to remember long enough to have seen one.
""",
    use="""
Use it where parameters differ in scale (embeddings, attention, anything deep and not normalised) and where
gradients are noisy. Its default η is a cautious one; on the digits of the next chapter a larger one is
better. Where the problem is well scaled, or turned against the axes, tuned momentum is as fast or faster and
needs half the memory.
""",
)
