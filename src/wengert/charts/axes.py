"""Axes of matplotlib, which is imported when something is plotted."""

from __future__ import annotations

from typing import Any

from wengert.errors import InputError, MissingExtraError, user_line

__all__ = ["axes_for", "legend"]


def axes_for(ax: Any, what: str, size: tuple[float, float] = (7.0, 4.0)) -> Any:
    """Return the axes to draw on: those given, or of a new figure.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
    what : str
        Who asks, for the message: ``pattern.plot()``.
    size : (float, float)
        Of a new figure, in inches.

    Raises
    ------
    MissingExtraError
        Where matplotlib is not installed.
    InputError
        For anything else than axes of matplotlib.
    """
    try:
        from matplotlib.axes import Axes
    except ImportError:
        raise MissingExtraError("matplotlib", "plot", what) from None
    if ax is None:
        from matplotlib import pyplot

        return pyplot.subplots(figsize=size, layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise InputError(
            f"{what} draws on axes of matplotlib, as in `figure, ax = plt.subplots()`, and ax is "
            f"a {type(ax).__name__}" + user_line()
        )
    return ax


def legend(ax: Any, **options: Any) -> None:
    """Add a legend, where there are named marks, without a frame."""
    if ax.get_legend_handles_labels()[1]:
        ax.legend(frameon=False, **options)


def bare(ax: Any) -> None:
    """Take away the two lines around the axes that no ticks stand on."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
