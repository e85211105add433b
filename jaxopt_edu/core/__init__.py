"""What every optimizer is made of: build one, read it, change it, stack it, chain it."""

from jaxopt_edu.core.chaining import chain
from jaxopt_edu.core.checks import FRACTION, NON_NEGATIVE, Limit
from jaxopt_edu.core.distributions import (
    Distribution,
    choice,
    loguniform,
    normal,
    one_minus,
    quniform,
    randint,
    uniform,
)
from jaxopt_edu.core.editing import replace, stack, unstack
from jaxopt_edu.core.evaluation import evaluation_params
from jaxopt_edu.core.grouping import groups
from jaxopt_edu.core.leaf_values import layerwise, where
from jaxopt_edu.core.lifting import lift
from jaxopt_edu.core.matrices import MatrixAxes, map_matrices, matrix_axes, matrix_state, with_fewer_rows
from jaxopt_edu.core.naming import hyperparameters, settings
from jaxopt_edu.core.numerics import bias_correction, divide, squared_magnitude, squared_root
from jaxopt_edu.core.packing import Layout
from jaxopt_edu.core.partitioning import partition
from jaxopt_edu.core.reading import describe, kind
from jaxopt_edu.core.reductions import norm, ratio_or_one, tree_dot, tree_norm, tree_sum, tree_zero
from jaxopt_edu.core.stepping import step_leaves, weight_sums
from jaxopt_edu.core.transform import Hyperparameter, Optimizer, build
from jaxopt_edu.core.trees import WeightSum, first_count, map_point, map_rule, next_count, zeros_like

__all__ = [
    "FRACTION",
    "NON_NEGATIVE",
    "Distribution",
    "Hyperparameter",
    "Layout",
    "Limit",
    "MatrixAxes",
    "Optimizer",
    "WeightSum",
    "bias_correction",
    "build",
    "chain",
    "choice",
    "describe",
    "divide",
    "evaluation_params",
    "first_count",
    "groups",
    "hyperparameters",
    "kind",
    "layerwise",
    "lift",
    "loguniform",
    "map_matrices",
    "map_point",
    "map_rule",
    "matrix_axes",
    "matrix_state",
    "next_count",
    "norm",
    "normal",
    "one_minus",
    "partition",
    "quniform",
    "randint",
    "ratio_or_one",
    "replace",
    "settings",
    "squared_magnitude",
    "squared_root",
    "stack",
    "step_leaves",
    "tree_dot",
    "tree_norm",
    "tree_sum",
    "tree_zero",
    "uniform",
    "unstack",
    "weight_sums",
    "where",
    "with_fewer_rows",
    "zeros_like",
]
