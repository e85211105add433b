"""Chapter 8: choosing an optimizer, and what races say about it."""

import sys

from jaxopt_edu.optimizers import STORY
from jaxopt_edu.textbook.chapter import Chapter
from jaxopt_edu.textbook.chapters.choosing.races import race, saddle_race
from jaxopt_edu.textbook.chapters.choosing.training import equal_budgets, sensitivity

CHAPTER = Chapter(
    slug="choosing",
    title="Choosing",
    opening=race,
    idea="""
Everyone has seen the animation: coloured dots run down a contour map, one arrives first, and the reader
concludes that it is the best. Three things are hidden in such a race. **The tuning:** each dot has a learning
rate that somebody chose, and another one reorders the field. **The start:** one point of one surface decides.
**The seed:** where gradients are noisy, one run shows what can happen, not what does.

So here every method tries the same learning rates, the race is run from many starts as well, and what chance
does is shown as a band. What remains after that is not a ranking. It is a list of what each method repairs,
and what it costs.
""",
    equations=(
        r"w \leftarrow w - \eta \, D^{-1} d",
        r"d = g \; \text{or an average of gradients}",
        r"D = 1 \; \text{or the root of an average of squares}",
    ),
    pages=tuple(sys.modules[optimizer.__module__] for optimizer in STORY),
    experiments=(saddle_race, sensitivity, equal_budgets),
    costs="""
| | numbers kept for each parameter | to be tuned first |
|---|---|---|
| SGD | 0 | η, over several decades |
| Momentum, Nesterov | 1 | η, then α |
| AdaGrad | 1 | η |
| RMSProp | 1 | η and how it falls |
| Adadelta | 2 | ε or η |
| Adam | 2 | η and how it falls |

The time of a step is the gradient's; the update is a few operations for each parameter. A learning rate found
for one method says nothing about another's: on the digits the good ones of SGD are a hundred times as large
as those of RMSProp.
""",
    use="""
| If | take | because |
|---|---|---|
| you do not know yet | Adam, with η from 0.0003 to 0.03 tried | little else has to be tuned |
| memory is short, or the problem well scaled | Momentum or Nesterov | as good once tuned, half the memory |
| the valley is narrow and runs across the axes | Momentum, with α tuned too | √κ steps at any angle |
| there is one pass over noisy data, some of it rare | AdaGrad | its steps fall by themselves, like 1/√t |
| gradients change in size during training | RMSProp or Adam | they forget |
| a rare gradient decides | Adam with a larger β₂, or AMSGrad | v has to remember it |
| the last digits matter | any, with η falling to 0 | what hovers comes to rest |
| a paper is to be reproduced | what it used, with its ε | ε can be a learning rate |

Whatever it is: tune η first, over at least three decades, with more than one seed, and give every method that
you compare the same number of tries.
""",
)
