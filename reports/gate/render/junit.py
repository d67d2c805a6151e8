"""A gate's verdicts as JUnit XML: a case for each model, scenario and metric.

A regression is a failure, what is invalid an error; what cannot be told and what has no baseline is
skipped, with the reason. Every case has its figures as its output.
"""

from __future__ import annotations

__all__ = ["junit"]

from collections.abc import Mapping
from xml.etree import ElementTree as ET  # it writes; nothing is parsed here

from reports.gate.render.words import circumstances, sentence_of
from reports.gate.verdicts import GateReport, Outcome, Verdict

ELEMENTS: Mapping[Outcome, str] = {
    Outcome.INVALID: "error",
    Outcome.REGRESSION: "failure",
    Outcome.INCONCLUSIVE: "skipped",
    Outcome.NO_BASELINE: "skipped",
}


def junit(report: GateReport) -> str:
    """Return the document."""
    elements = [_element(verdict, report) for verdict in report.verdicts]
    suite = ET.Element(
        "testsuite",
        name="threadmill gate",
        timestamp=report.started,
        time=f"{report.seconds:.3f}",
        tests=str(len(elements)),
        failures=str(elements.count("failure")),
        errors=str(elements.count("error")),
        skipped=str(elements.count("skipped")),
    )
    for verdict, element in zip(report.verdicts, elements, strict=True):
        classname = f"{verdict.model}.{verdict.scenario}"
        case = ET.SubElement(suite, "testcase", classname=classname, name=verdict.metric, time="0")
        sentence = _printable(sentence_of(verdict))
        if element:
            ET.SubElement(case, element, message=sentence.partition("\n")[0]).text = sentence
        ET.SubElement(case, "system-out").text = sentence
    ET.SubElement(suite, "system-out").text = _printable("\n".join(circumstances(report)))
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _element(verdict: Verdict, report: GateReport) -> str:
    if verdict.outcome is Outcome.REGRESSION and not report.enforced:
        return ""
    return ELEMENTS.get(verdict.outcome, "")


def _printable(text: str) -> str:
    """Return text without the characters that XML 1.0 does not have."""
    return "".join(each if each in "\n\t" or " " <= each < "\ufffe" else "?" for each in text)
