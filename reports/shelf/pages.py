"""Pages about several runs: each one file of HTML, without scripts, that loads nothing."""

from __future__ import annotations

__all__ = ["rendered", "several_page"]

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from reports.shelf.several import Several


def rendered(name: str, **values: Any) -> str:
    """Return a template of this folder as a page; whatever words it is given are escaped."""
    environment = Environment(
        loader=PackageLoader("reports.shelf", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(f"{name}.html.j2").render(values)


def several_page(several: Several) -> str:
    """Return the page of results side by side."""
    return rendered("several", several=several)
