"""Types that callbacks share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Metrics by name, as ``fit`` passes them to callbacks.
Logs = Mapping[str, Any] | None
