"""Runs made as the app makes them, without a workspace."""

from ecoval_core.runs.opened import describe_table, split_table
from ecoval_core.runs.run import value_split
from ecoval_core.workspace.schema import OpenSpec, Settings, SplitSpec


def settings_of(model, n_clusters, scoring="probability", **more):
    return Settings(model=model, n_clusters=n_clusters, scoring=scoring, **more)


def value_table(table, settings, *, spec=None, **split):
    """Value a table split as told; `spec` says more of it, such as its sample."""
    how = OpenSpec(table=describe_table(table, **(spec or {})), split=SplitSpec(**split))
    return value_split(split_table(table, how), settings)
