"""The public names that the table of wrong arguments leaves out, each with the reason."""

from jaxopt_edu import problems

RESULT = "a value that the library makes and users read"
PAGES = "called by optimizers' pages in an update, where trees and arrays are checked (tests/core)"
WITHOUT: dict[str, str] = {
    **dict.fromkeys(
        [
            "CarriedOver",
            "FitResult",
            "RateTest",
            "Diagnosis",
            "Finding",
            "Readings",
            "SweepResult",
            "Best",
            "TopRun",
            "History",
            "Moment",
            "Carry",
            "Animation",
            "Style",
            "Dataset",
            "Examples",
            "Fingerprint",
            "NoisyQuadratic",
            "SparseRegression",
            "Surface",
            "Layout",
            "Limit",
            "MatrixAxes",
        ],
        RESULT,
    ),
    **dict.fromkeys(
        [
            "WeightSum",
            "bias_correction",
            "divide",
            "first_count",
            "map_matrices",
            "map_point",
            "map_rule",
            "matrix_axes",
            "matrix_state",
            "ratio_or_one",
            "next_count",
            "norm",
            "squared_magnitude",
            "squared_root",
            "step_leaves",
            "tree_dot",
            "tree_norm",
            "tree_sum",
            "tree_zero",
            "weight_sums",
            "with_fewer_rows",
            "zeros_like",
        ],
        PAGES,
    ),
    **dict.fromkeys(
        ["descend", "make_step", "shuffled_indices", "start"],
        "the loop's parts, called while tracing, after fit and sweep have checked",
    ),
    **dict.fromkeys(
        [surface.name for surface in problems.SURFACES], "called with a point, a surface is a loss function"
    ),
    **dict.fromkeys(problems.CORE, "all checked by what names them (tests/problems/test_problem.py)"),
    "Problem": "what it refuses is tested there too",
    **dict.fromkeys(["CORE", "VARIANTS"], "tables of the suite"),
    "Tracker": "a protocol: fit and sweeps ask whether what they are given has its methods",
    "matrices_only": "a mask: weight_decay calls it with a leaf's name and the leaf",
    "Optimizer": "made by factories; as optax's own pair of functions it takes anything",
    "build": "what it refuses is tested with the pages (tests/core/test_pages.py)",
}
