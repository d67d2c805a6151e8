"""What is asked of a server, and what came back: the vocabulary of the load engine.

`Load` describes a closed loop: `connections` connections, each with `depth` requests
outstanding. `Tally` is the whole outcome. Both the engine and its plain-Python oracle take the
one and give the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from reports.histogram import Histogram
