"""From an attribution to findings: what holds at every extrinsic weight, for all rows that were given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecoval_core.valuation.propagation import Attribution
from ecoval_core.valuation.record import Findings
from ecoval_core.valuation.scoring import decode, prior_scores


def make_findings(attribution: Attribution, y: NDArray, rows: NDArray[np.int64]) -> Findings:
    """Summarise an attribution of some rows of `y`; the others have NaN, or -1 and False."""

    def spread(of_rows: NDArray, missing: Any = np.nan) -> NDArray:
        of_all = np.full((len(y), *of_rows.shape[1:]), missing, dtype=of_rows.dtype)
        of_all[rows] = of_rows
        return of_all

    problem, refits = attribution.problem, attribution.refits
    prior = prior_scores(problem.codes_val, problem.scoring, problem.scale)
    full_score = float((refits.scores_full * problem.row_weights).mean())
    prior_score = float((prior * problem.row_weights).mean())
    deviation = refits.scores_full - prior - (full_score - prior_score)
    deviation *= problem.row_weights
    rule, judged = attribution.issue_rule, attribution.judged
    suggested = np.array(y)
    suggested[rows] = decode(rule.suggest(judged, problem.codes), problem.classes)
    weights = problem.relative_weight
    return Findings(
        labels=spread(attribution.clustering.labels, -1),
        quality=spread(attribution.quality),
        label_quality=spread(attribution.label_quality),
        raw_extrinsic=spread(attribution.credit.extrinsic),
        judged=spread(judged),
        suggested_labels=suggested,
        label_issues=spread(rule.find(judged, problem.codes), False),
        sampling=attribution.credit.sampling,
        cluster_values=(refits.effects * problem.row_weights).mean(axis=1),
        cluster_standard_errors=attribution.errors,
        full_score=full_score,
        prior_score=prior_score,
        surplus_standard_error=float(np.sqrt((deviation**2).mean() / len(prior))),
        scoring=problem.scoring,
        task=problem.scale.task,
        classes=problem.classes,
        sample_weight=None if weights is None else spread(weights),
    )
