"""At which arguments subscripts, operators and the options of ufuncs are tested."""

from __future__ import annotations

import numpy as np
import scipy.special as sp
from case import apart, integers, quadrant, real, signed
from numpy_cases import KEEP, T3, M, V, use

INDEXING = [
    use(lambda x: x[1], M), use(lambda x: x[-1, 0], M), use(lambda x: x[..., 0], T3),
    use(lambda x: x[:, None, ::2], M),
    use(lambda x: x[[0, 1, 1]], M), use(lambda x: x[:, [2, 0]], M),
    use(lambda x: x[[0, 1], [2, 0]], M),
    use(lambda x: x[[[0], [1]], [[2, 0]]], M), use(lambda x: x[x > 0], M, batched=False),
    use(lambda x: x[KEEP], M),
    use(lambda x: x[:, np.array([True, False, True])], M),
    use(lambda x: x[np.array([True, False])], M),
    use(lambda x: x[np.array([False, False])], M), use(lambda x: x[0, [1, 2]], M),
    use(lambda x: x[[0, 1], :, [1, 0]], T3),
    use(lambda x: x[np.argmax(x)], apart(V)), use(lambda x: x[()], ()), use(lambda x: x[[]], V),
    use(lambda x: x[..., [0, 1], None], M),
    use(lambda x, i: x[i], M, integers(0, 2, (2, 2))),
    use(lambda x, i: x[:, i, 0], T3, integers(0, 3, V)),
    use(lambda x: x[True], V), use(lambda x: x[np.int64(1)], M),
    use(lambda x: x[slice(None), 1], M),
]  # fmt: skip
"""Reading parts of an array."""

UFUNC_OPTIONS = [
    use(lambda x: np.add(x, 1, out=np.zeros(M, like=x)) * 2, M, single=False),
    use(lambda x: np.exp(x, dtype=np.float32), M),
    use(lambda x: np.exp(x, out=np.ones(M, like=x), where=KEEP) * 2, M, single=False),
    use(lambda x: np.add(x, np.float64(2)), M), use(lambda x: x + np.arange(3), M, single=False),
    use(lambda x: 2**x, M), use(lambda x: x**2, M), use(lambda x: x**-1, signed(M)),
    use(lambda x: x**0.5, real(0.5, 2, M)),
    use(lambda x: 3 // x, real(0.7, 0.9, M)), use(lambda x: x % 0.7, apart(M)),
    use(lambda x: -abs(+x), signed(M)), use(lambda x: 1 / x, signed(M)),
    use(np.abs, quadrant(M)), use(np.sign, quadrant(M)), use(np.sign, signed(M)),
    use(np.absolute, quadrant(())),
    use(np.heaviside, signed(M), ()), use(sp.expit, M),
    use(lambda x: [1.0, 2.0, 3.0] * x, M), use(lambda x: x - [1, 2, 3], M, single=False),
    use(lambda x: np.power(x, 3), M),
    use(lambda x: np.power(2.0, x), M), use(lambda x: np.maximum(x, 0), M),
    use(lambda x: np.hypot(x, 1), M),
    use(lambda x: sp.zeta(2.0, x), real(0.5, 2, M)),
]  # fmt: skip
"""Ufuncs with ``out=``, ``where=`` and ``dtype=``, and the operators."""
