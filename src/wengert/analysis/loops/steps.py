"""Following the instructions of chosen functions while they run.

Python 3.12 has `sys.monitoring` for it (PEP 669), which costs nothing in other functions. Before,
`sys.settrace` sees every function, so it rests wherever nothing is to be followed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, TypeAlias

__all__ = ["Steps"]

Begun: TypeAlias = Callable[[FrameType], Callable[[int], None] | None]
"""Called with a frame that begins or goes on; returns what each instruction's offset is given to,
or None."""


class _Following:
    """Follows functions.

    Parameters
    ----------
    begun : callable
        Says of each function that begins, or goes on after a yield, who follows it.
    left : callable
        Told of each followed frame that ends or yields.
    ignored : callable
        Says of a function's code that nobody follows it.
    """

    def __init__(
        self,
        begun: Begun,
        left: Callable[[FrameType], None],
        ignored: Callable[[CodeType], bool],
    ) -> None:
        self._begun = begun
        self._left = left
        self._ignored = ignored


if sys.version_info >= (3, 12):

    class Steps(_Following):
        """Follows functions, by `sys.monitoring`."""

        def __init__(self, *following: Any) -> None:
            super().__init__(*following)
            self._tool: int | None = None
            self._followed: dict[FrameType, Callable[[int], None]] = {}
            self._codes: dict[int, CodeType] = {}  # equal ones of different files are different

        def start(self) -> bool:
            """Begin; return False where others took all places."""
            monitoring = sys.monitoring
            events = monitoring.events
            free = [k for k in range(5, -1, -1) if monitoring.get_tool(k) is None]
            if not free:
                return False
            tool = self._tool = free[0]
            monitoring.use_tool_id(tool, "wengert")
            calls: dict[int, Callable[..., Any]] = {
                events.PY_START: self._enter, events.PY_RESUME: self._enter,
                events.INSTRUCTION: self._step, events.PY_RETURN: self._leave,
                events.PY_YIELD: self._leave, events.PY_UNWIND: self._leave,
            }  # fmt: skip
            for event, call in calls.items():
                monitoring.register_callback(tool, event, call)
            monitoring.set_events(tool, events.PY_START | events.PY_RESUME | events.PY_UNWIND)
            monitoring.restart_events()  # those that an earlier recording had no need of
            return True

        def stop(self) -> None:
            """End."""
            if self._tool is None:
                return
            monitoring = sys.monitoring
            monitoring.set_events(self._tool, 0)
            for code in self._codes.values():
                monitoring.set_local_events(self._tool, code, 0)
            events = monitoring.events
            for event in (events.PY_START, events.PY_RESUME, events.INSTRUCTION,
                          events.PY_RETURN, events.PY_YIELD, events.PY_UNWIND):  # fmt: skip
                monitoring.register_callback(self._tool, event, None)
            monitoring.free_tool_id(self._tool)
            self._tool = None
            self._codes.clear()
            self._followed.clear()

        def pause(self, rest: bool) -> None:
            """Do nothing: functions that are not followed cost nothing."""

        def _enter(self, code: CodeType, offset: int) -> Any:
            if self._ignored(code):
                return sys.monitoring.DISABLE
            frame = sys._getframe(1)
            step = self._begun(frame)
            if step is None:
                return None
            self._followed[frame] = step
            if id(code) not in self._codes and self._tool is not None:
                events = sys.monitoring.events
                self._codes[id(code)] = code
                sys.monitoring.set_local_events(
                    self._tool, code, events.INSTRUCTION | events.PY_RETURN | events.PY_YIELD
                )
            return None

        def _step(self, code: CodeType, offset: int) -> None:
            step = self._followed.get(sys._getframe(1))
            if step is not None:
                step(offset)

        def _leave(self, code: CodeType, offset: int, value: object) -> None:
            frame = sys._getframe(1)
            if self._followed.pop(frame, None) is not None:
                self._left(frame)

else:

    class Steps(_Following):
        """Follows functions, by `sys.settrace`."""

        def __init__(self, *following: Any) -> None:
            super().__init__(*following)
            self._works = False

        def start(self) -> bool:
            """Begin; return False where a debugger or another tool is at work, which goes first."""
            self._works = sys.gettrace() is None
            self.pause(False)
            return self._works

        def stop(self) -> None:
            """End."""
            self.pause(True)
            self._works = False

        def pause(self, rest: bool) -> None:
            """Stop following, or go on."""
            if self._works:
                sys.settrace(None if rest else self._enter)

        def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
            step = None if self._ignored(frame.f_code) else self._begun(frame)
            if step is None:
                return None
            frame.f_trace_lines = False
            frame.f_trace_opcodes = True

            def follow(frame: FrameType, event: str, arg: Any) -> Any:
                if event == "opcode":
                    step(frame.f_lasti)
                elif event == "return":
                    self._left(frame)
                return follow

            return follow
