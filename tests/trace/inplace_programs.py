"""Functions that update arrays in place: `PROGRAMS` has each with an argument.

They run on plain arrays too, which is the reference.
"""

from __future__ import annotations

import numpy as np

PROGRAMS = {}


def vector(f):
    PROGRAMS[f.__name__] = (f, np.array([0.3, -1.2, 2.1, 0.7, 1.6, -0.4]))
    return f


def matrix(f):
    PROGRAMS[f.__name__] = (f, np.linspace(-1.0, 2.0, 12).reshape(3, 4) ** 3)
    return f


# --- single elements, slices, masks, integer arrays ----------------------------------------------
@vector
def set_element(x):
    y = np.zeros_like(x)
    y[2] = x[0] * x[1]
    y[-1] = np.sin(y[2])
    return y


@vector
def set_slice(x):
    y = x.copy()
    y[1:4] = x[2:5] ** 2
    y[::-2] = 2.0
    return y * x


@vector
def add_to_slice(x):
    y = x * 1.0
    y[1:4] += x[0]
    y[:2] -= y[4:]
    y[3:] *= y[2]
    y[0] /= x[1]
    return y


@vector
def shift_over_itself(x):
    y = x.copy()
    y[1:] = y[:-1]
    y[1:] += y[:-1]
    y[:-1] *= y[1:]
    return y


@vector
def powers_and_remainders(x):
    y = np.abs(x) + 1
    y **= 2
    y[1:] **= 1.5
    y %= 3.0
    y += x
    y //= 0.4
    return y + x


@vector
def masks(x):
    y = x.copy()
    y[x > 0] *= 3
    y[y < 0] = x[0]
    y[y > 2] = y[y > 2] ** 2
    y[np.zeros(6, bool)] = 5.0
    return y


@matrix
def matrix_masks(x):
    y = x.copy()
    y[x > 0] = x[x > 0] ** 2
    y[np.array([True, False, True])] += x[0]
    y[:, x[0] < 0] = 7.0
    return y


@vector
def repeated_indices_last_wins(x):
    y = x.copy()
    i = np.array([1, 1, 3, 1, 3])
    y[i] = x[:5] ** 2
    y[i] += 1.0
    y[[0, 0]] = x[2:4]
    return y


@matrix
def repeated_index_pairs(x):
    y = np.zeros_like(x)
    rows, columns = np.array([0, 0, 2, 0]), np.array([1, 1, 3, 2])
    y[rows, columns] = x[1]
    y[rows, 0] = x[:, 1].sum() * np.arange(4.0)
    y[1, [2, 2, 3]] += x[0, :3]
    return y


@matrix
def add_at(x):
    y = x.copy()
    np.add.at(y, ([0, 0, 2], [1, 1, 3]), x[0, :3])
    np.add.at(y, 1, x[2])
    np.subtract.at(y, (slice(None), [0, 0]), x[:, 2:])
    return y


@matrix
def put_and_place(x):
    y, z, w = x.copy(), x.copy(), x.copy()
    np.put(y, [1, 5, 1], x[0, :3])
    np.place(z, x > 0, x[1])
    np.putmask(w, x > 0, 2 * x)
    y.put([0, 2], x[2, :2])
    return y * z + w


@matrix
def along_axis(x):
    y = x.copy()
    order = np.argsort(x, axis=1)
    np.put_along_axis(y, order[:, :2], x[:, 2:] * 2, axis=1)
    np.fill_diagonal(y, x[0, :3])
    return y


@vector
def set_with_more_axes_of_length_one(x):
    y = np.outer(x[:3], x[3:])
    y[1, 1, ...] = x[:1]
    y[2] = x[None, None, 1:4]
    y[np.array([0, 2]), 1] = x.reshape(1, 1, 6)[..., 2:3]
    y[:2, ...] = x.reshape(1, 1, 2, 3) ** 2
    return y * x[0]


# --- aliases and scalars -------------------------------------------------------------------------
@vector
def two_names_for_one_array(x):
    a = x * 1.0
    b = a
    a += 1
    a *= x
    return b


@vector
def a_scalar_is_not_an_alias(x):
    a = x[0]
    b = a
    a += x[1]
    a *= 2
    total = np.sum(x)
    kept = total
    total -= x[2]
    return np.stack([a, b, total, kept])


@vector
def a_0d_array_is_an_alias(x):
    a = np.zeros((), like=x)
    b = a
    a += x[0]
    a += x[1]
    a *= x[2]
    a[...] = a + 1
    a[()] = a * 2
    return b * x


@vector
def ellipsis_makes_a_0d_view(x):
    y = x.copy()
    v = y[1, ...]
    v += x[0]
    v += x[2]
    w = y[2:3].reshape(())
    w *= x[3]
    return y


@vector
def rebinding_is_not_updating(x):
    a = x * 1.0
    b = a
    a = a + 1
    a[0] = 5.0
    return a * b


@vector
def swap_elements(x):
    y = x.copy()
    y[0], y[3] = y[3], y[0]
    y[1:3], y[4:] = y[4:].copy(), y[1:3].copy()
    return y * x


@matrix
def swap_rows_through_views(x):
    y = x.copy()
    y[0], y[1] = y[1], y[0]  # NumPy's trap: both become row 1
    y[[1, 2]] = y[[2, 1]]
    return y * x


@vector
def methods(x):
    y, z = x.copy(), x.copy()
    y.fill(x[1])
    y[2:] = x[2:]
    y.sort()
    z[:4].sort()
    z[::-1].partition(2)
    return y * z


@matrix
def sort_in_place_along_an_axis(x):
    y = np.sin(3 * x)
    y.sort(axis=0)
    y[1].sort()
    return y


# --- out= ----------------------------------------------------------------------------------------
@vector
def out_arguments(x):
    y = np.zeros_like(x)
    np.multiply(x, x, out=y)
    np.add(y, 1, out=y)
    np.exp(-x, out=y, where=x > 0)
    np.maximum(y[:3], y[3:], out=y[:3])
    np.cumsum(y, out=y)
    s = np.zeros((), like=x)
    np.sum(y, out=s)
    return y + s


@matrix
def out_of_reductions_and_products(x):
    y = np.zeros((3, 3), like=x)
    np.matmul(x, x.T, out=y)
    v = np.zeros(3, like=x)
    np.sum(x, axis=1, out=v)
    y[0] = v
    np.clip(y, -1.0, 20.0, out=y)
    np.copyto(y[1], v)
    np.copyto(y, 3.0, where=y > 10)
    return y


# --- views ---------------------------------------------------------------------------------------
@matrix
def rows_while_iterating(x):
    y = x.copy()
    for i, row in enumerate(y):
        row *= i + 1
        row[0] = x[i, 1]
    return y


@matrix
def views_of_views(x):
    y = x.copy()
    v = y[1:]
    w = v[:, ::2]
    w[0] = x[0, :2]
    w += 1
    u = w.T[1]
    u *= x[2, 3]
    v[1, 3] = y[1, 0] * 2
    return y + w.sum() * u[0]


@matrix
def views_see_their_base(x):
    y = x.copy()
    row, column, turned, flat = y[0], y[:, 1], y.T, y.reshape(-1)
    y[0, 1] = x[2, 2] ** 2
    y *= 2
    return np.sum(row) * np.sum(column) + turned.T * np.sum(flat[:3])


@matrix
def bases_see_their_views(x):
    y = x.copy()
    y.reshape(-1)[3:7] = x.reshape(-1)[:4] ** 2
    y.ravel()[0] = x[1, 1]
    y.T[2] += 1
    np.transpose(y)[1, 0] = x[2, 0]
    np.swapaxes(y, 0, 1)[3] *= x[0, :3]
    np.moveaxis(y, 0, 1)[0, 1:] = 4.0
    y.reshape(2, 2, 3)[1, 0] = x[0, :3]
    np.expand_dims(y, 0)[0, 2, 2] = x[0, 0]
    np.squeeze(y[None])[1, 3] = x[0, 1]
    y[:, None][0, 0, 3] = x[1, 0]
    np.flip(y, 0)[0] *= 2
    np.atleast_3d(y)[0, 0, 0] = x[2, 1]
    first, *_ = np.split(y, 3)
    first += x[1]
    np.hsplit(y, 2)[1][...] *= 3
    return y


@matrix
def where_reshape_copies(x):
    y = x.copy()
    y.T.reshape(-1)[:] = 0.0  # a copy: not contiguous
    y[:, ::2].reshape(-1)[:] = 0.0
    y[:, :2].ravel()[0] = 0.0
    y.flatten()[0] = 0.0
    v = y[:, 1:]
    v += 1  # still not contiguous
    v.reshape(-1)[:] = 0.0
    t = x.T.copy()  # contiguous: a view
    t.reshape(-1)[:2] = 9.0
    k = np.copy(x.T)  # keeps the order of x.T: a copy
    k.reshape(-1)[:2] = 9.0
    a = np.zeros((4, 3), like=x)
    np.copyto(a, x.T)  # a stays contiguous whatever it is filled with
    a.reshape(-1)[1:3] = x[0, :2]
    return np.concatenate([y.T, t, k, a])


@matrix
def functions_that_always_copy(x):
    y = x.copy()
    for z in (
        np.roll(y, 0), np.tile(y, 1), np.repeat(y, 1, axis=0), np.pad(y, 0),
        np.pad(y, 0, mode="edge"),
        np.delete(y, [], axis=0), np.concatenate([y]), np.sum(y, axis=()), np.where(True, y, y),
        np.maximum(y, -np.inf), np.positive(y), np.sort(y, axis=1), np.take(y, [0, 1, 2], axis=0),
        np.resize(y, y.shape), np.clip(y, -99, 99), np.round(y, 15), np.stack([y])[0],
        np.triu(y, -9),
    ):  # fmt: skip
        z[0] = 100.0
        z.reshape(-1)[4:] = 50.0
    return y * 2


@matrix
def row_major_results(x):
    """Results along an inner axis are row-major, so that their reshape is a view."""
    made = []
    for z in (
        np.take(x, [3, 1, 1], axis=1), np.repeat(x, 2, axis=1), np.delete(x, 1, axis=1),
        np.tile(x, 2),
        np.roll(x, 1, axis=1), np.pad(x, 1, mode="reflect"),
        np.compress([True, False, True], x, axis=1),
    ):  # fmt: skip
        w = np.sin(z)
        w.reshape(-1)[1:3] = x[0, :2]
        made.append(w.ravel())
    w = np.sin(x[:, [0, 2]])  # NumPy's order is another here: a copy
    w.reshape(-1)[:] = 0.0
    made.append(w.ravel())
    return np.concatenate(made)


@matrix
def fortran_order(x):
    y = x.copy()
    y.reshape(-1, order="F")[0] = 0.0  # a copy
    y.T.reshape(-1, order="F")[1] = x[0, 0]  # a view
    y.T.ravel(order="F")[2] = x[0, 1]
    return y


@matrix
def sibling_views(x):
    y = x.copy()
    a, b = y[:2], y[1:]
    a[1] = x[0]
    b[0] *= 2
    a += b
    return a * b


@matrix
def a_view_outlives_the_name_of_its_base(x):
    v = (x * 2)[1]
    w = v[1:]
    w += x[0, 0]
    return v


@matrix
def read_only_views_follow(x):
    y = x.copy()
    d = np.diagonal(y)
    spread = np.broadcast_to(y[0], (2, 4))
    copied = spread.reshape(-1)
    y[0] = x[2] ** 2
    y[1, 1] = x[0, 3]
    return np.concatenate([d, spread.ravel(), copied])


@vector
def fancy_indexing_copies(x):
    y = x.copy()
    a, b = y[[0, 1, 2]], y[y > 0]
    a += 10
    b *= 2
    y[0] = x[4]
    return np.concatenate([y, a, b])


@vector
def complex_parts(x):
    z = x + 1j * x[::-1]
    re = z.real
    re += 1
    z.imag[1:3] = x[:2] ** 2
    z.imag *= 2
    z.real[0] = x[5]
    z.real = z.real * x
    z[3] = 2.0
    w = np.real(z[2:])
    w[-1] = 0.5
    return z.real * z.imag + re


@vector
def the_real_part_of_a_real_array_is_itself(x):
    y = x.copy()
    y.real[1] = x[0]
    np.real(y)[2] *= 3
    return y


@vector
def same_object_from_conversions(x):
    y = x.copy()
    a = y.astype(float, copy=False)
    a[0] = x[3]
    b = np.asarray(y, like=y)
    b[1] = x[4]
    c = np.array(y, like=y)
    c[2] = 100.0
    d = y.astype(float)
    d[3] = 100.0
    np.atleast_1d(y)[4] = x[0]
    y.view()[5] = x[1]
    y[:][2] *= 2
    return y + 0 * c * d


@matrix
def flat_elements(x):
    y = x.copy()
    y.flat[1] = x[0, 0] ** 2
    y.flat[[4, 5]] = x[1, 2:]
    y.flat[6:8] = x[2, 3]
    z = x.copy()
    z.flat = x[0] * 2
    total = 0.0
    for v in y.flat:
        total = total + v * v
    return y * z + total + y.flat[3]


@vector
def float32_stays_float32(x):
    y = np.zeros(6, dtype=np.float32)
    y = np.zeros_like(x, dtype=np.float32)
    y += 1
    y[0] = 0.5
    np.add.at(y, [0, 0], np.float64(0.25))
    assert y.dtype == np.float32
    return x * y


@vector
def integer_arrays_as_work_space(x):
    n = np.zeros(6, dtype=int, like=x)
    n[1:3] = 2
    v = n[2:]
    v += 1
    n[0] = 4
    v[1] = 5
    return x[n] * n


@vector
def deep_chain_of_views(x):
    y = np.concatenate([x, np.zeros(1500)])
    v = y
    while v.shape[0] > 2:
        v = v[1:]
    y[-2:] = x[:2]
    v *= 3
    return y[-3:] * v[0]


@vector
def work_array_in_a_loop(x):
    state = np.ones((2, 6), like=x)
    for i in range(6):
        old, new = state[i % 2], state[(i + 1) % 2]
        new[:] = old * np.cos(x) + x[i]
    return state


@matrix
def values_with_more_axes(x):
    """NumPy drops leading axes of length 1 that the place written to does not have."""
    y = np.zeros_like(x)
    y[1] = x[None, :1] * 2
    y[..., [0, 2]] = x[None, None, :, 1:3]
    np.copyto(y[2:], np.sin(x[None, :1]))
    y.T[...] = (y * x).T[None]
    return y


# Boolean masks and loops that differ between examples are refused by vmap, not wrong.
DATA_DEPENDENT = {"masks", "matrix_masks", "put_and_place", "fancy_indexing_copies"}
# Where NumPy's reshape copies, vmap does not know whether it does for one example.
UNCERTAIN = {"where_reshape_copies", "fortran_order", "read_only_views_follow", "row_major_results"}
