"""Reports on studies: tables, charts and notes that each format writes in its own markup."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attribution.export.reports.assessment import assessment_report
from attribution.export.reports.comparison import comparison_report
from attribution.export.reports.evaluation import evaluation_report
from attribution.export.reports.report import Report

if TYPE_CHECKING:
    from attribution.formats import Savable

_BUILDERS: dict[str, Callable[[Any], Report]] = {
    "comparison": comparison_report,
    "evaluation": evaluation_report,
    "assessment": assessment_report,
}


def build_report(result: Savable) -> Report:
    """Build the report of a comparison, an evaluation or an assessment."""
    return _BUILDERS[result.KIND](result)
