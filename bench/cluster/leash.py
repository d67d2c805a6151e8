"""What `local:N` has its scheduler and workers load first: they end when the conductor does."""

from __future__ import annotations

from clients.engine._engine import die_with_parent

die_with_parent()
