"""Peaks of a computer."""

from __future__ import annotations

import pytest

from wengert.devices.machine import Machine, measured


def test_the_slower_of_arithmetic_and_memory_counts():
    machine = Machine(flops=1e12, bandwidth=1e11, name="toy")
    assert machine.ridge == 10
    assert machine.seconds(1e12, 1e9) == 1.0
    assert machine.seconds(1e9, 1e11) == 1.0
    assert "toy" in str(machine)
    assert "1e+03 billion" in str(machine)


def test_this_computer_is_measured_once():
    machine = measured()
    assert machine is measured()
    assert 1e8 < machine.flops < 1e15
    assert 1e8 < machine.bandwidth < 1e14
    assert machine.seconds(0, 0) == pytest.approx(0)
