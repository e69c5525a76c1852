"""EcoVal: data valuation by leave-cluster-out and a production function."""

from ecoval_core.models.catalog import RefitError
from ecoval_core.models.parallel import Cancelled
from ecoval_core.notebook import show
from ecoval_core.valuation.cross_valuation import cross_value, repeat_value
from ecoval_core.valuation.estimator import EcoVal

__all__ = ["Cancelled", "EcoVal", "RefitError", "cross_value", "repeat_value", "show"]
