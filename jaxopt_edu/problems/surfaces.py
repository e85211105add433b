"""Surfaces over the plane: small enough to draw, each with one difficulty an optimizer has to live with.

Every surface is a constant of this module (`bowl`, `beale`, …), and `SURFACES` holds them all. Their
functions take one array of shape (2,), so that one point is one "parameter" to an optimizer, and a grid of
them is a `jax.vmap`.

References:
    M. Jamil and X.-S. Yang, "A literature survey of benchmark functions for global optimization problems",
    2013, arXiv:1308.4008, lists most of them; each surface's `reference` names where it comes from.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

Point = tuple[float, float]
"""The two coordinates (x, y) of one place on a surface."""


@dataclass(frozen=True)
class Surface:
    """A function f(x, y) to minimise, and what is known about it.

    Attributes:
        name: the name it has in `jaxopt_edu.problems`.
        formula: f(x, y) in Unicode, for titles and listings.
        function: takes one array of shape (2,), returns a scalar of the same dtype.
        domain: the window to draw, ((x_low, x_high), (y_low, y_high)).
        minima: every global minimum; empty where f has no lower bound.
        minimum: the value at `minima`; None where there are none.
        start: the point a run starts from.
        reference: where the function comes from.
        saddles: the saddle points that the surface is there to show; others are not listed.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_edu.problems as problems
        >>> point = jnp.array(problems.bowl.start)
        >>> print(problems.bowl.formula, "is", problems.bowl.function(point), "at", point)
        x²/20 + y² is 6.45 at [-7.  2.]
        >>> print(problems.bowl.gradient(point))
        [-0.7  4. ]
    """

    name: str
    formula: str
    function: Callable[[jax.Array], jax.Array]
    domain: tuple[Point, Point]
    minima: tuple[Point, ...]
    minimum: float | None
    start: Point
    reference: str
    saddles: tuple[Point, ...] = ()

    def __call__(self, point: jax.Array, batch: None = None) -> jax.Array:
        """Give f at one point, so that a surface is a loss function as it is.

        Args:
            point: float array of shape (2,).
            batch: nothing; `fit` and `sweep` give a loss function two arguments.

        Returns:
            The value, of the point's dtype.
        """
        return self.function(point)

    def gradient(self, point: jax.Array) -> jax.Array:
        """Give ∇f at one point.

        Args:
            point: float array of shape (2,).

        Returns:
            The gradient, with the point's shape and dtype.
        """
        return jax.grad(self.function)(point)


def _bowl(point: jax.Array) -> jax.Array:
    x, y = point
    return x**2 / 20 + y**2


def _booth(point: jax.Array) -> jax.Array:
    x, y = point
    return (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2


def _beale(point: jax.Array) -> jax.Array:
    x, y = point
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def _rosenbrock(point: jax.Array) -> jax.Array:
    x, y = point
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def _himmelblau(point: jax.Array) -> jax.Array:
    x, y = point
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def _styblinski_tang(point: jax.Array) -> jax.Array:
    x, y = point
    return (x**4 - 16 * x**2 + 5 * x + y**4 - 16 * y**2 + 5 * y) / 2


def _three_hump_camel(point: jax.Array) -> jax.Array:
    x, y = point
    return 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2


def _six_hump_camel(point: jax.Array) -> jax.Array:
    x, y = point
    return (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (4 * y**2 - 4) * y**2


def _goldstein_price(point: jax.Array) -> jax.Array:
    x, y = point
    narrow = 1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
    wide = 30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    return narrow * wide


def _rastrigin(point: jax.Array) -> jax.Array:
    x, y = point
    return 20 + x**2 + y**2 - 10 * (jnp.cos(2 * math.pi * x) + jnp.cos(2 * math.pi * y))


def _ackley(point: jax.Array) -> jax.Array:
    x, y = point
    mean_square = (x**2 + y**2) / 2
    # √ has no finite derivative at 0, so there its argument is replaced, not its result: the derivative of
    # the cusp is then 0, the middle of the slopes that meet in it.
    at_cusp = mean_square == 0
    distance = jnp.where(at_cusp, 0.0, jnp.sqrt(jnp.where(at_cusp, 1.0, mean_square)))
    mean_cosine = (jnp.cos(2 * math.pi * x) + jnp.cos(2 * math.pi * y)) / 2
    # 20 and e are paired with the exponentials they cancel: the minimum is then exactly 0 in every dtype.
    return -20 * jnp.expm1(-0.2 * distance) - math.e * jnp.expm1(mean_cosine - 1)


def _saddle(point: jax.Array) -> jax.Array:
    x, y = point
    return x**2 - y**2


def _monkey_saddle(point: jax.Array) -> jax.Array:
    x, y = point
    return x**3 - 3 * x * y**2


bowl = Surface(
    name="bowl",
    formula="x²/20 + y²",
    function=_bowl,
    domain=((-10.0, 10.0), (-5.0, 5.0)),
    minima=((0.0, 0.0),),
    minimum=0.0,
    start=(-7.0, 2.0),
    reference="K. Saitoh, Deep Learning from Scratch, 2016, chapter 6",
)

booth = Surface(
    name="booth",
    formula="(x + 2y − 7)² + (2x + y − 5)²",
    function=_booth,
    domain=((-10.0, 10.0), (-10.0, 10.0)),
    minima=((1.0, 3.0),),
    minimum=0.0,
    start=(-8.0, -3.0),
    reference="M. Jamil and X.-S. Yang, 2013, arXiv:1308.4008",
)

beale = Surface(
    name="beale",
    formula="(1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)²",
    function=_beale,
    domain=((-4.5, 4.5), (-4.5, 4.5)),
    minima=((3.0, 0.5),),
    minimum=0.0,
    start=(1.0, 1.5),
    reference="E. M. L. Beale, On an iterative method for finding a local minimum, 1958",
)

rosenbrock = Surface(
    name="rosenbrock",
    formula="(1 − x)² + 100 (y − x²)²",
    function=_rosenbrock,
    domain=((-2.0, 2.0), (-1.0, 3.0)),
    minima=((1.0, 1.0),),
    minimum=0.0,
    start=(-1.2, 1.0),
    reference="H. H. Rosenbrock, The Computer Journal 3, 1960",
)

himmelblau = Surface(
    name="himmelblau",
    formula="(x² + y − 11)² + (x + y² − 7)²",
    function=_himmelblau,
    domain=((-5.0, 5.0), (-5.0, 5.0)),
    minima=(
        (3.0, 2.0),
        (-2.805118086952745, 3.131312518250573),
        (-3.779310253377747, -3.2831859912861696),
        (3.5844283403304917, -1.8481265269644036),
    ),
    minimum=0.0,
    start=(-0.5, -1.5),
    reference="D. M. Himmelblau, Applied Nonlinear Programming, 1972",
)

styblinski_tang = Surface(
    name="styblinski_tang",
    formula="(x⁴ − 16x² + 5x + y⁴ − 16y² + 5y)/2",
    function=_styblinski_tang,
    domain=((-5.0, 5.0), (-5.0, 5.0)),
    minima=((-2.903534027771177, -2.903534027771177),),
    minimum=-78.33233140754282,
    start=(4.5, -0.5),
    reference="M. A. Styblinski and T.-S. Tang, Neural Networks 3, 1990",
)

three_hump_camel = Surface(
    name="three_hump_camel",
    formula="2x² − 1.05x⁴ + x⁶/6 + xy + y²",
    function=_three_hump_camel,
    domain=((-2.5, 2.5), (-2.5, 2.5)),
    minima=((0.0, 0.0),),
    minimum=0.0,
    start=(2.2, -2.0),
    reference="M. Jamil and X.-S. Yang, 2013, arXiv:1308.4008",
)

six_hump_camel = Surface(
    name="six_hump_camel",
    formula="(4 − 2.1x² + x⁴/3) x² + xy + (4y² − 4) y²",
    function=_six_hump_camel,
    domain=((-2.0, 2.0), (-1.2, 1.2)),
    minima=((0.08984201310031806, -0.7126564030207396), (-0.08984201310031806, 0.7126564030207396)),
    minimum=-1.0316284534898774,
    start=(-1.9, 0.9),
    reference="L. C. W. Dixon and G. P. Szegö, Towards Global Optimisation 2, 1978",
)

goldstein_price = Surface(
    name="goldstein_price",
    formula="[1 + (x + y + 1)² (19 − 14x + 3x² − 14y + 6xy + 3y²)]"
    " · [30 + (2x − 3y)² (18 − 32x + 12x² + 48y − 36xy + 27y²)]",
    function=_goldstein_price,
    domain=((-2.0, 2.0), (-2.0, 2.0)),
    minima=((0.0, -1.0),),
    minimum=3.0,
    start=(-1.5, 0.5),
    reference="A. A. Goldstein and J. F. Price, Mathematics of Computation 25, 1971",
)

rastrigin = Surface(
    name="rastrigin",
    formula="20 + x² + y² − 10 (cos 2πx + cos 2πy)",
    function=_rastrigin,
    domain=((-5.12, 5.12), (-5.12, 5.12)),
    minima=((0.0, 0.0),),
    minimum=0.0,
    start=(-3.3, 2.4),
    reference="L. A. Rastrigin, Systems of Extremal Control, 1974",
)

ackley = Surface(
    name="ackley",
    formula="20 + e − 20 exp(−0.2 √((x² + y²)/2)) − exp((cos 2πx + cos 2πy)/2)",
    function=_ackley,
    domain=((-5.0, 5.0), (-5.0, 5.0)),
    minima=((0.0, 0.0),),
    minimum=0.0,
    start=(-3.4, 2.6),
    reference="D. H. Ackley, A Connectionist Machine for Genetic Hillclimbing, 1987",
)

saddle = Surface(
    name="saddle",
    formula="x² − y²",
    function=_saddle,
    domain=((-2.0, 2.0), (-2.0, 2.0)),
    minima=(),
    minimum=None,
    start=(-1.5, 0.001),
    reference="Y. Dauphin et al., 2014, arXiv:1406.2572, on saddles in high dimension",
    saddles=((0.0, 0.0),),
)

monkey_saddle = Surface(
    name="monkey_saddle",
    formula="x³ − 3xy²",
    function=_monkey_saddle,
    domain=((-2.0, 2.0), (-2.0, 2.0)),
    minima=(),
    minimum=None,
    start=(1.5, 0.01),
    reference="D. Hilbert and S. Cohn-Vossen, Geometry and the Imagination, 1952",
    saddles=((0.0, 0.0),),
)

SURFACES = (
    bowl,
    booth,
    beale,
    rosenbrock,
    himmelblau,
    styblinski_tang,
    three_hump_camel,
    six_hump_camel,
    goldstein_price,
    rastrigin,
    ackley,
    saddle,
    monkey_saddle,
)
"""All surfaces, the easiest first and those without a minimum last."""
