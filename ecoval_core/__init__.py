"""EcoVal: data valuation by leave-cluster-out and a production function."""

from ecoval_core.cross_valuation import cross_value
from ecoval_core.fitting import RefitError
from ecoval_core.tasks import Cancelled
from ecoval_core.uncertainty import repeat_value
from ecoval_core.valuation import EcoVal

__all__ = ["Cancelled", "EcoVal", "RefitError", "cross_value", "repeat_value"]
