"""A graph split over several devices: placements, stages, and what each of them needs.

Devices and machines are described by operations and bytes a second; nothing is measured on them.
May import: errors, tables, charts, ir, ops, cost, memory, jit.
"""

from __future__ import annotations

from wengert.devices.device import Device
from wengert.devices.machine import Machine

__all__ = ["Device", "Machine"]
