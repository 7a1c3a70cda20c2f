"""What is wrong with an installation, and what to do: `plugin-host doctor`."""

from __future__ import annotations

from plugin_host.core.doctor.examination import document, examine
from plugin_host.core.doctor.findings import Finding

__all__ = ["Finding", "document", "examine"]
