"""Plain data as text and back, exactly."""

import numpy as np
import pytest

from wengert.errors import GraphError
from wengert.ir.graph import SLOT
from wengert.ir.literal import Reader, is_plain, write

NEGATIVE_NAN = -float("nan")
PAYLOAD = np.frombuffer(bytes.fromhex("010000000000f87f"), np.float64)[0]

GOLDEN = [
    (True, "True"),
    (1, "1"),
    (-12345678901234567890, "-12345678901234567890"),
    (1.0, "1.0"),
    (-0.0, "-0.0"),
    (1e-05, "1e-05"),
    (0.1, "0.1"),
    (float("nan"), "nan"),
    (NEGATIVE_NAN, "nan[000000000000f8ff]"),
    (float("-inf"), "-inf"),
    (complex(1.0, -0.0), "complex(1.0, -0.0)"),
    (complex(float("nan"), float("inf")), "complex(nan, inf)"),
    (np.float32(0.1), "np.float32(0.1)"),
    (np.float32(16777216.0), "np.float32(1.6777216e+07)"),
    (np.float16(-0.0), "np.float16(-0.0)"),
    (np.float64(PAYLOAD), "np.float64(nan[010000000000f87f])"),
    (np.float32("nan"), "np.float32(nan)"),
    (np.longdouble(1) / 3, None),
    (np.complex64(complex(-0.0, np.nan)), "np.complex64(-0.0, nan)"),
    (np.clongdouble(1) / 3, None),
    (np.True_, "np.bool(True)"),
    (np.int8(-3), "np.int8(-3)"),
    (np.uint64(2**64 - 1), "np.uint64(18446744073709551615)"),
    (np.dtype(np.float32), "f32"),
    (np.dtype(bool), "b8"),
    (np.dtype(">i4"), ">i32"),
    (np.dtype(complex), "c128"),
    ("ij,j->i", "'ij,j->i'"),
    ('it\'s "#" \\ \n', None),
    (None, "None"),
    (Ellipsis, "..."),
    ((), "()"),
    ((0,), "(0,)"),
    ((1, (2.0, "a"), ()), "(1, (2.0, 'a'), ())"),
    ((0, slice(1, None), SLOT, None, Ellipsis), "[0, 1:, @, None, ...]"),
    ((slice(None), slice(None, None, -1), slice(-3, 5, 2)), "[:, ::-1, -3:5:2]"),
    ((slice(None, 4), (1, 2)), "[:4, (1, 2)]"),
    (slice(1, None, 2), "slice(1, None, 2)"),
]


def exact(x):
    """Everything that has to survive: types, nesting and bits."""
    if isinstance(x, tuple):
        return tuple(map(exact, x))
    if type(x) in (float, complex):
        return type(x), np.array(x).tobytes()
    if isinstance(x, (np.longdouble, np.clongdouble)) and np.finfo(x.dtype).nmant == 63:
        return x.dtype, np.array([x]).view(np.uint8).reshape(-1, 16)[:, :10].tobytes()  # of 16
    if isinstance(x, np.generic):
        return x.dtype, np.array(x).tobytes()
    if isinstance(x, slice):
        return slice, x.start, x.stop, x.step
    return type(x), x


@pytest.mark.parametrize(("x", "text"), GOLDEN, ids=lambda v: str(v)[:20])
def test_round_trip(x, text):
    found = write(x)
    assert text is None or found == text
    reader = Reader(found)
    assert exact(reader.literal()) == exact(x)
    reader.end()


@pytest.mark.parametrize(
    "x", [[1], {"a": 1}, np.ones(2), object(), len, b"x", np.datetime64("2020"), np.dtype("U3")]
)
def test_other_data_is_not_plain(x):
    assert not is_plain(x)
    with pytest.raises(GraphError):
        write(x)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"column 1: expected a number, .* found the end of the line"),
        ("(1, 2", r"column 6: expected ',' or '\)', found the end of the line"),
        ("(1 2)", r"column 4: expected ',' or '\)', found '2\)'"),
        ("[1:2, oops]", r"column 7: expected an index, found 'oops\]'"),
        ("complex(1.0)", r"2 numbers belong here, not 1"),
        ("np.float77(1.0)", r"there is no type of number np.float77"),
        ("np.object(1.0)", r"there is no type of number np.object"),
        ("f63", r"there is no dtype f63"),
        ("nan[00]", r"a NaN of float64 has 16 hexadecimal digits"),
        ("1.5x", r"column 1: expected a number"),
    ],
)
def test_errors_name_the_column(text, message):
    with pytest.raises(GraphError, match=message):
        Reader(text).literal()
