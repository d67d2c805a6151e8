"""The studies, in the order in which a report has them. A new one is a module and a row here."""

from __future__ import annotations

__all__ = ["STUDIES", "sections_of"]

from collections.abc import Callable, Mapping

from reports.cells.report import Report
from reports.studies import (
    company,
    connection_cost,
    cores,
    hosts,
    idle,
    memory,
    placement,
    plane,
    scaling,
    udp,
    udp_loss,
    udp_size,
)
from reports.studies.section import Section

STUDIES: Mapping[str, Callable[[Report], Section | None]] = {
    module.NAME: module.section
    for module in (
        hosts,
        placement,
        connection_cost,
        scaling,
        cores,
        plane,
        company,
        idle,
        memory,
        udp,
        udp_loss,
        udp_size,
    )
}
"""By name, as its profile has it: what gives its section of a report."""


def sections_of(report: Report) -> list[Section]:
    """Return a section for each study that the run says something to."""
    return [found for section in STUDIES.values() if (found := section(report))]
