"""Which learning rate: short runs side by side, or one run whose rate grows, with how sure the answer is."""

from jaxopt_edu.rates.rate_test import rate_ramp, rate_test
from jaxopt_edu.rates.result import RateTest

__all__ = ["RateTest", "rate_ramp", "rate_test"]
