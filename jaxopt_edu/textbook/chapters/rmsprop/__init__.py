"""Chapter 5: RMSProp forgets, and does not come to rest."""

import sys

from jaxopt_edu.optimizers import rmsprop
from jaxopt_edu.textbook.chapter import Chapter
from jaxopt_edu.textbook.chapters.rmsprop.forgetting import forgetting
from jaxopt_edu.textbook.chapters.rmsprop.settling import hovering_in_noise, settling

CHAPTER = Chapter(
    slug="rmsprop",
    title="RMSProp",
    opening=forgetting,
    idea="""
AdaGrad divides by everything it has ever seen. Its sum of squares only grows, so one bad stretch of training
(a burst of large gradients, an unlucky start) shortens all the steps that follow.

RMSProp keeps a *moving average* of the squares instead. At each step the old average is worth a little
less, ρ of what it was: after 1/(1 − ρ) steps a gradient still has 1/e = 0.37 of its first weight, after
three times as many a twentieth. Dividing by the root of that average leaves a number near one: **each
coordinate moves by about η a step, whatever the size of its gradient.**

That is its strength, for a flat coordinate goes as fast as a steep one. It is its weakness, too. Near the
minimum, where the gradients get small, the average gets small with them, and the steps do not.
""",
    equations=(
        r"h \leftarrow \rho h + (1 - \rho) g^2",
        r"w \leftarrow w - \eta \frac{g}{\sqrt{h} + \varepsilon}",
    ),
    pages=(sys.modules[rmsprop.__module__],),
    experiments=(settling, hovering_in_noise),
    costs="""
One number of memory for each parameter; one root and one division. η has to be tuned, and has to fall
at the end of training; ρ rarely needs a touch. The first step is η/√(1 − ρ) long, ten times η at ρ = 0.99:
Adam repairs that.
""",
    use="""
Use it where gradients keep changing in size: noisy or moving objectives, reinforcement learning, recurrent
networks. Let η fall if the last digits matter. For one pass over data that stay the same, AdaGrad's falling
steps do that by themselves; nearly everywhere else Adam does what RMSProp does, and begins more gently.
""",
)
