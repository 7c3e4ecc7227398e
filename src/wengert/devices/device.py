"""Devices that a graph is to be split over: what each holds and does in a second, and its link."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.errors import InputError, user_line
from wengert.memory.profile import size_of, size_text

__all__ = ["Device", "checked"]


@dataclass(frozen=True)
class Device:
    """A device that part of a graph may be given to.

    Parameters
    ----------
    name : str
    memory : int or str
        Bytes, or a text such as ``"16GiB"``.
    speed : float
        Operations a second; a multiply-add is two.
    bandwidth : float
        Bytes that it reads and writes in its memory in a second.
    link : float
        Bytes a second that it sends to another device; the slower end of a link counts.
    latency : float, optional
        Seconds that a message takes before its first byte arrives.

    Raises
    ------
    InputError
        For figures that are not positive numbers (the latency may be 0, a bandwidth and a link
        infinite), and for a memory that is no size.
    """

    name: str
    memory: int | str
    speed: float
    bandwidth: float
    link: float
    latency: float = 0.0

    def __post_init__(self) -> None:
        """Check the figures."""
        if not isinstance(self.name, str) or not self.name:
            raise InputError(f"the name of a device is {self.name!r}. Give it a name, a text.")
        given: Any = self.memory
        if isinstance(given, (float, np.floating)) and float(given).is_integer():
            given = int(given)  # 16e9
        try:
            size = size_of(given)
        except (ValueError, OverflowError):
            size = 0
        if not size:
            raise InputError(
                f"device {self.name!r} has memory={self.memory!r}. Give a number of bytes, or a "
                f'text such as "16GiB".'
            )
        object.__setattr__(self, "memory", size)
        for field in ("speed", "bandwidth", "link", "latency"):
            x: Any = getattr(self, field)
            number = isinstance(x, (int, float, np.integer, np.floating))
            ours = number and not isinstance(x, bool) and not math.isnan(x)
            # Shares follow from speeds, so there is no infinite one; a link may be no bottleneck.
            endless = ours and math.isinf(x) and field in ("speed", "latency")
            if not ours or endless or x < 0 or (x == 0 and field != "latency"):
                kind = "finite " if field in ("speed", "latency") else "positive "
                raise InputError(
                    f"device {self.name!r} has {field}={x!r}. Give a {kind}number"
                    + (" of seconds, or 0." if field == "latency" else " for each second, above 0.")
                )
            object.__setattr__(self, field, float(x))

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return size_of(self.memory)

    def seconds(self, flops: float, nbytes: float) -> float:
        """Return the least time for so many operations on so many bytes."""
        return max(flops / self.speed, nbytes / self.bandwidth)

    def __str__(self) -> str:
        """Return a line for people."""
        return (
            f"{self.name}: {size_text(self.size)}, {self.speed:.3g} operations, "
            f"{self.bandwidth:.3g} bytes of memory and {self.link:.3g} of link a second"
        )


def checked(devices: Sequence[Any]) -> tuple[Device, ...]:
    """Return the devices.

    Raises
    ------
    InputError
        Where there is none, one is no `Device`, or two have the same name.
    """
    if isinstance(devices, Device):
        raise InputError("devices is one Device. Give a list: devices=[device]." + user_line())
    if not isinstance(devices, Sequence) or not devices:
        raise InputError(
            f"devices={devices!r} names no device. Give a list of Device(...)." + user_line()
        )
    for d in devices:
        if not isinstance(d, Device):
            raise InputError(
                f"devices has a {type(d).__name__}, {d!r}. Give a list of "
                f"wengert.devices.partition.Device(name, memory, speed, bandwidth, link)."
                + user_line()
            )
    names = [d.name for d in devices]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise InputError(
            f"two devices are named {twice[0]!r}. Give each a name of its own." + user_line()
        )
    return tuple(devices)
