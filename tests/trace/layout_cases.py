"""Expressions of arrays, and arrays that lie in memory in every way, to compare with NumPy.

`x` is a matrix, `v` a row of it, `t` has three axes; all are made from one vector inside of the
function, so that each trace has to know how they lie.
"""

from __future__ import annotations

import copy

import numpy as np

MATRICES = {
    "C": lambda p: p[:12].reshape(3, 4),
    "F": lambda p: p[:12].reshape(4, 3).T,
    "own F": lambda p: np.sin(p[:12].reshape(4, 3).T),
    "reversed": lambda p: p[:12].reshape(3, 4)[::-1, ::-1],
    "reversed F": lambda p: p[:12].reshape(4, 3)[:, ::-1].T,
    "every second": lambda p: p[:24].reshape(6, 4)[::2],
    "with gaps": lambda p: p[:24].reshape(3, 8)[:, ::2],
    "gaps F": lambda p: p[:24].reshape(8, 3)[::2].T,
    "broadcast": lambda p: np.broadcast_to(p[:4], (3, 4)),
    "broadcast F": lambda p: np.broadcast_to(p[:3], (4, 3)).T,
    "one": lambda p: p[:1].reshape(1, 1),
    "one row": lambda p: p[:4].reshape(1, 4),
    "one column": lambda p: p[:8].reshape(4, 2)[:, :1],
    "empty": lambda p: p[:0].reshape(0, 4),
}
CUBES = {
    "C": lambda p: p.reshape(2, 3, 4),
    "F": lambda p: p.reshape(4, 3, 2).T,
    "rolled": lambda p: p.reshape(4, 2, 3).transpose(1, 2, 0),
    "swapped": lambda p: p.reshape(3, 2, 4).transpose(1, 0, 2),
    "turned": lambda p: p.reshape(2, 4, 3).transpose(0, 2, 1)[:, ::-1],
}
VECTORS = {
    "C": lambda p: p[:4],
    "reversed": lambda p: p[:4][::-1],
    "every second": lambda p: p[:8:2],
    "own": lambda p: p[:4] * 1.0,
    "one": lambda p: p[:1],
    "empty": lambda p: p[:0],
}
SCALARS = {
    "array": lambda p: p[0, ...],
    "number": lambda p: p[0],
    "sum": lambda p: np.sum(p),
    "own": lambda p: np.array(p[1], like=p),
}

UFUNCS = [
    "np.sin(x)", "x * 2", "x + x", "x + y", "y + x", "x * (x > 0)", "np.where(x > 0, x, 1.0)",
    "np.where(x > 0, y, x)", "np.maximum(x, y)", "-x", "+x", "abs(x)", "np.sign(x)", "x ** 2",
    "x + np.ones((3, 4) if x.shape == (3, 4) else x.shape)", "x + np.ones(x.shape[::-1]).T",
    "np.add(x, x[:1])", "x + x[..., :1]", "np.hypot(x, x.T.T)", "np.outer(x, x)",
    "np.add.outer(x, x[0] if len(x) else x)", "np.add.reduce(x, axis=0)",
    "np.add.accumulate(x, axis=1)", "np.conjugate(x)", "np.real(x)", "x.conj()", "x.real",
    "x.imag", "(x + 1j * x).real", "(x + 1j * x).imag", "(x + 1j * x).conj()", "np.exp(1j * x)",
    "np.angle(x + 1j)", "np.absolute(x + 1j)", "np.modf(x)", "np.divmod(x, 0.3)", "np.frexp(x)",
    "np.square(x, dtype=float)", "np.add(x, 1, dtype=np.float32)", "np.heaviside(x, 0.5)",
    "np.clip(x, -1, 1)", "np.float_power(x * x, 2)", "np.ldexp(x, 2)",
]  # fmt: skip
COPIES = [
    "x.copy()", "x.copy('K')", "x.copy('F')", "x.copy('A')", "np.copy(x)", "np.copy(x, order='C')",
    "np.copy(x, order='F')", "np.copy(x, order='A')", "x.astype(float)", "x.astype(np.float32)",
    "x.astype(float, copy=False)", "x.astype(float, order='C', copy=False)",
    "x.astype(float, order='F', copy=False)", "x.astype(float, order='F')",
    "np.astype(x, float, copy=False)", "np.astype(x, np.float32)", "np.array(x, like=x)",
    "np.array(x, copy=None, like=x)", "np.array(x, order='F', like=x)",
    "np.array(x, order='C', copy=None, like=x)", "np.array(x, ndmin=3, like=x)",
    "np.array(x, ndmin=3, copy=None, like=x)", "np.asarray(x, like=x)",
    "np.asarray(x, order='F', like=x)", "np.asarray(x, order='C', like=x)",
    "np.asarray(x, copy=True, like=x)", "np.asanyarray(x, like=x)",
    "np.ascontiguousarray(x, like=x)", "np.asfortranarray(x, like=x)",
    "np.require(x, requirements='C', like=x)", "np.require(x, requirements='F', like=x)",
    "np.zeros_like(x) + x", "np.zeros_like(x)", "np.zeros_like(x, order='F')",
    "np.zeros_like(x, order='C')", "np.zeros_like(x, order='A')", "np.ones_like(x)",
    "np.full_like(x, 2.0)", "np.full_like(x, np.sum(x))", "np.empty_like(x) * 0 + 1",
    "np.zeros_like(x, shape=(2, 3))", "np.full((2, 3), np.sum(x), like=x)", "np.positive(x)",
    "np.nan_to_num(x)", "np.nan_to_num(x, copy=False)", "np.round(x)", "np.round(x, 1)",
    "np.fix(x)", "np.sinc(x)", "np.i0(x)", "np.real_if_close(x)", "np.real_if_close(x + 0j)",
    "np.isclose(x, x)",
]  # fmt: skip
VIEWS = [
    "x.T", "x.mT", "x[:]", "x[...]", "x[None]", "x[:, None]", "x[()]", "x[True]", "x[np.True_]",
    "x[None, True]", "x.view()", "x.reshape(-1)", "x.reshape(x.shape)",
    "x.reshape((2, -1)) if x.size else x", "x.reshape(-1, order='F')", "x.reshape(-1, order='A')",
    "x.reshape(x.shape, copy=True)", "x.reshape(x.shape[::-1], order='F')",
    "x.reshape(x.shape[::-1], order='A')", "x.reshape((1, *x.shape, 1))",
    "np.reshape(x, (x.size, 1))", "x.T.reshape(-1)", "x.ravel()", "x.ravel('F')", "x.ravel('A')",
    "x.ravel('K')", "np.ravel(x.T, 'K')", "x.flatten()", "x.flatten('F')", "x.flatten('A')",
    "x.flatten('K')", "np.transpose(x)", "np.swapaxes(x, 0, 1)", "np.moveaxis(x, 0, -1)",
    "np.rollaxis(x, 1)", "np.rollaxis(x, 0, 2)", "np.permute_dims(x, (1, 0))",
    "np.matrix_transpose(x)", "np.linalg.matrix_transpose(x)", "np.expand_dims(x, 0)",
    "np.expand_dims(x, (0, 3))", "np.squeeze(x)", "np.squeeze(x[None])", "np.atleast_1d(x)",
    "np.atleast_2d(x)", "np.atleast_3d(x)", "np.broadcast_to(x, x.shape)",
    "np.broadcast_to(x, (2, *x.shape))", "np.broadcast_arrays(x, x)", "np.broadcast_arrays(x)",
    "np.diagonal(x)", "np.diagonal(x, 1)", "np.linalg.diagonal(x)", "np.diag(x)", "x.diagonal()",
    "np.einsum('ij->ji', x)", "np.einsum('ij->ij', x)", "np.einsum('ij', x)", "np.einsum('ji', x)",
    "np.einsum('ii->i', x @ x.T)", "np.einsum('...j->j...', x)", "np.einsum('ij->i', x)",
    "np.lib.stride_tricks.sliding_window_view(x, 2, axis=1) if x.shape[1] > 1 else x",
    "np.lib.stride_tricks.sliding_window_view(x, (1, 1)) if x.size else x",
    "np.split(x, [1], axis=1)", "np.array_split(x, 2)", "np.hsplit(x, [1])", "np.vsplit(x, [1])",
    "np.dsplit(x[..., None], 1)", "np.unstack(x, axis=1)", "np.flip(x)", "np.flip(x, 0)",
    "np.fliplr(x)", "np.flipud(x)", "np.rot90(x)", "np.rot90(x, 0)", "np.rot90(x, 2)",
    "np.rot90(x, 3)", "np.meshgrid(x[:, 0], x[:, 0], copy=False)", "np.meshgrid(x[:, 0], x[:, 0])",
    "np.meshgrid(x[:, 0], x[:, 0], copy=False, sparse=True)", "np.diff(x, n=0)",
    "np.linalg.matrix_power(x @ x.T, 1)", "[row for row in x]", "x[1:, ::-1]", "x[-1]", "x[:, -1]",
    "np.moveaxis(x[None], (0, 1), (2, 0))",
]  # fmt: skip
ARRANGED = [
    "np.concatenate([x, x])", "np.concatenate([x, x], axis=1)", "np.concatenate([x, y], axis=1)",
    "np.concatenate([x])", "np.concatenate([x, x], axis=None)", "np.stack([x, x])",
    "np.stack([x, x], axis=-1)", "np.vstack([x, x])", "np.hstack([x, x])", "np.dstack([x, x])",
    "np.column_stack([x, x])", "np.block([[x, x], [x, x]])", "np.block(x)", "np.append(x, x)",
    "np.append(x, x, axis=0)", "np.tile(x, 1)", "np.tile(x, 2)", "np.tile(x, (2, 2))",
    "np.repeat(x, 2)", "np.repeat(x, 2, axis=1)", "np.repeat(x, 1, axis=0)", "np.roll(x, 1)",
    "np.roll(x, 1, axis=0)", "np.roll(x, 0)", "np.roll(x, 0, axis=1)",
    "np.roll(x, (1, 1), (0, 1))", "np.pad(x, 1)", "np.pad(x, 0)", "np.pad(x, 1, mode='edge')",
    "np.pad(x, 0, mode='wrap')", "np.delete(x, 0, axis=1)", "np.delete(x, [], axis=0)",
    "np.insert(x, 1, 5.0, axis=1)", "np.insert(x, 0, 5.0)", "np.resize(x, (4, 4))",
    "np.resize(x, x.shape)", "np.tril(x)", "np.triu(x)", "np.diagflat(x)", "np.diag(x[0])",
    "np.vander(x[0])", "np.trim_zeros(x[0])", "np.fft.fftshift(x)", "np.unwrap(x)",
    "np.select([x > 0], [x], 0.0)", "np.choose(0, [x])", "np.choose((x > 0).astype(int), [x, y])",
    "np.choose(np.zeros(x.shape, int), [x, y])", "np.extract(x > 0, x)",
    "np.compress([True], x, axis=1)", "np.compress([True], x, axis=0)",
    "np.piecewise(x, [x > 0], [lambda u: u * 2, 3.0])",
]  # fmt: skip
INDEXED = [
    "x[[0, 0]]", "x[:, [0, 0]]", "x[..., [0]]", "x[[0], :]", "x[:, np.array([[0], [0]])]",
    "x[[0, 0], [0, 0]]", "x[[[0]], [[0, 0]]]", "x[x > 0]", "x[x[:, 0] > -9]", "x[:, x[0] > -9]",
    "x[np.array([0, 0]), None]", "x[None, [0]]", "x[:, None, [0, 0]]", "x[[0], ...]",
    "x[:, [0, 0], ...]", "x[[0, 0], 0]", "x[0, [0, 0]]", "x[0:1, [0, 0]]", "np.take(x, [0, 0])",
    "np.take(x, [0, 0], axis=0)", "np.take(x, [0, 0], axis=1)", "np.take(x, 0, axis=1)",
    "np.take(x, [[0, 0]], axis=1)",
    "np.take_along_axis(x, np.zeros(x.shape, int), 1)",
    "x.take([0, 0], axis=1)", "x.flat[:2]", "x.flat[0]",
]  # fmt: skip
REDUCED = [
    "np.sum(x, axis=0)", "np.sum(x, axis=1, keepdims=True)", "np.sum(x, axis=())",
    "np.sum(x, keepdims=True)", "np.mean(x, axis=0)", "np.mean(x, axis=())", "np.max(x, axis=())",
    "np.prod(x, axis=())", "np.var(x, axis=0)", "np.cumsum(x, axis=0)", "np.cumsum(x)",
    "np.cumprod(x, axis=1)", "np.maximum.accumulate(x, axis=0)", "np.diff(x, axis=0)",
    "np.diff(x, axis=1)", "np.diff(x, axis=1, prepend=0.0)", "np.ediff1d(x)", "np.sort(x, axis=0)",
    "np.sort(x, axis=1)", "np.sort(x, axis=None)", "np.partition(x, 0, axis=0)",
    "np.argsort(x, axis=0)", "np.gradient(x) if min(x.shape) > 1 else x",
    "np.gradient(x, axis=0) if len(x) > 1 else x", "np.nancumsum(x, axis=0)",
    "np.nansum(x, axis=0)", "np.trapezoid(x, axis=0)", "np.cumulative_sum(x, axis=0)",
    "np.ptp(x, axis=0)", "np.apply_along_axis(lambda u: u * 2, 0, x)",
    "np.apply_along_axis(np.sum, 1, x)", "np.apply_over_axes(np.sum, x, [0])", "np.any(x, axis=0)",
    "np.isin(x, [1.0])", "np.logaddexp.reduce(x, axis=0)", "np.median(x, axis=0)",
    "np.quantile(x, [0.2, 0.5], axis=0)", "np.interp(x, [0.0, 1.0], [1.0, 2.0])",
    "np.digitize(x, [0.0])",
]  # fmt: skip
PRODUCTS = [
    "x @ x.T", "x.T @ x", "(x.T @ x).T", "np.dot(x, x.T)", "np.matmul(x[None], x.T)",
    "np.inner(x, x)", "np.tensordot(x, x, axes=(1, 1))", "np.tensordot(x, x, axes=0)",
    "np.einsum('ij,kj->ik', x, x)", "np.einsum('ij,kj->ki', x, x)", "np.einsum('ij,ij->ij', x, x)",
    "np.einsum('ij,ij->ji', x, x)", "np.einsum('ij,kl->ijkl', x, x)",
    "np.einsum('ij,kj->jik', x, x)", "np.einsum('ij,kj->ik', x, x, optimize=True)",
    "np.einsum('ij,j->ij', x, x[0] if len(x) else np.ones(x.shape[1]))",
    "np.einsum('ij,kj,lj->ikl', x, x, x)", "np.einsum('ij,kj->ik', x, x, order='F')",
    "np.kron(x, x)", "np.vecdot(x, x)", "np.cross(x[:, :3], x[:, :3]) if x.shape[1] > 2 else x",
    "np.linalg.outer(x[0], x[0]) if len(x) else x", "np.cov(x) if x.size > 4 else x",
    "np.corrcoef(x) if x.size > 4 else x",
]  # fmt: skip
ORDERED = [
    "np.polyval([1.0, 2.0, 3.0], x)",
    "np.average(x[None], axis=1, weights=np.ones(len(x))) if len(x) else x",
    "np.argwhere(x > 0)",
    "np.pad(pad_width=1, array=x)",
    "x.astype(np.float32, order='F').T",
    "np.linspace(x, x + 1, 3, axis=1)",
    "np.percentile(x, [10, 50], axis=0)",
    "np.multiply.outer(x[0] if len(x) else x, x)",
    "np.add.reduceat(x, [0], axis=1)",
    "x[np.ix_([0], [0])] if x.size else x",
    "np.where((x > 0).T.T, x, x[:1])",
    "np.matvec(x[None], x[0]) if len(x) else x",
    "np.broadcast_to(x[:, :1], x.shape) * x",
    "np.nanmean(x, axis=0)",
    "np.cov(x.T) if x.size > 4 else x",
    "np.std(x[None], axis=1)",
]
LINEAR = [
    "np.linalg.inv(m)", "np.linalg.solve(m, x)", "np.linalg.cholesky(m)", "np.linalg.qr(x)[0]",
    "np.linalg.qr(m)[1]", "np.linalg.svd(x, full_matrices=False)", "np.linalg.eigh(m)[1]",
    "np.linalg.pinv(m)", "np.linalg.matrix_power(m, 3)", "np.linalg.matrix_power(m, 0)",
    "np.linalg.lstsq(m, x, rcond=None)[0]", "np.linalg.multi_dot([x, x.T, x])",
    "np.fft.fft(x).real", "np.fft.fft(x, axis=0).real", "np.fft.fft2(x).real",
    "np.fft.rfft(x, axis=0).imag", "np.fft.ifft(x).real", "np.fft.irfft(x, axis=0)",
    "np.fft.hfft(x, axis=0)",
]  # fmt: skip
CUBED = [
    "np.sin(t)", "t + t.transpose(2, 1, 0).transpose(2, 1, 0)", "np.copy(t)", "t.copy()",
    "t.reshape(-1)", "t.reshape(6, 4)", "t.reshape(2, 12)", "t.reshape(3, 2, 4)", "t.ravel('K')",
    "t.ravel('F')", "t.reshape(-1, order='A')", "t.flatten('K')", "t.transpose(1, 0, 2)",
    "np.moveaxis(t, 0, 1)", "np.rollaxis(t, 2)", "np.swapaxes(t, 0, 2)", "t[:, 0]", "t[..., 0]",
    "t[:, [0, 1]]", "t[[0, 1], :, [0, 1]]", "t[:, [0, 1], [0, 1]]", "t[[0, 1], [0, 1]]",
    "t[0, :, [0, 1]]", "t[:, t[0, :, 0] > -9]", "t[t[:, :, 0] > -9]", "np.sum(t, axis=1)",
    "np.sum(t, axis=(0, 2))", "np.max(t, axis=0)", "np.cumsum(t, axis=1)", "np.sort(t, axis=0)",
    "np.concatenate([t, t], axis=1)", "np.stack([t, t], axis=2)", "np.take(t, [0, 0], axis=1)",
    "np.repeat(t, 2, axis=1)", "np.tile(t, (1, 2, 1))", "np.roll(t, 1, axis=1)",
    "t @ np.swapaxes(t, 1, 2)", "np.tensordot(t, t, axes=([1], [1]))", "np.einsum('ijk->kij', t)",
    "np.einsum('ijk,ljk->il', t, t)", "np.einsum('ijk,ijk->ikj', t, t)", "np.einsum('ijk->ki', t)",
    "np.diagonal(t, axis1=1, axis2=2)", "np.einsum('iij->ij', t[:, :2])", "np.zeros_like(t)",
    "t.astype(np.float32)", "np.where(t > 0, t, 0)",
    "np.lib.stride_tricks.sliding_window_view(t, 2, axis=1)", "np.rot90(t, 1, (1, 2))",
    "np.diff(t, axis=1)", "np.unstack(t, axis=2)", "np.split(t, 2, axis=2)",
    "np.mean(t, axis=1, keepdims=True)", "np.kron(t[0], t[1])", "np.broadcast_to(t, (2, 2, 3, 4))",
    "np.pad(t, 1)", "np.flip(t, 1)", "np.expand_dims(t, 1)", "t[:, None].reshape(-1)",
    "np.cov(t[0])", "np.median(t, axis=1)", "np.apply_along_axis(lambda u: u * 2, 1, t)",
    "np.take_along_axis(t, np.argsort(t, axis=1), axis=1)", "np.linalg.inv(t[:, :2, :2])",
    "np.linalg.norm(t, axis=1)", "np.fft.fft(t, axis=1).real", "np.tile(t, (1, 1, 2))",
    "np.roll(t, 1)", "np.fft.fftshift(t)", "np.fft.ifftshift(t, axes=1)",
    "np.array([t, t], like=t)", "np.array([t], order='F', like=t)", "copy.copy(t)",
    "copy.deepcopy(t)", "np.percentile(t, 20, axis=0)",
    "np.quantile(t, [0.2, 0.3], axis=2)", "np.nanpercentile(t, [20, 30], axis=1)",
    "np.linspace(t, 0.1, 3)", "np.subtract.reduce(t[:1])", "np.divide.accumulate(t, axis=1)",
    "-np.lib.stride_tricks.sliding_window_view(t, 1, axis=1)", "t[:, np.argmax(t) % 2] * 2",
    "np.sin(np.lib.stride_tricks.sliding_window_view(t, 2, axis=2))", "-np.diagonal(t)",
    "np.diagonal(t, axis1=1, axis2=2) * 2", "np.add.reduceat(t, [0, 1], axis=1)",
    "np.subtract.reduceat(t, [0], axis=0)",
]  # fmt: skip
OF_VECTORS = [
    "v.ravel()", "v.reshape(-1)", "v.reshape(2, 2) if v.size == 4 else v", "v[None]", "v[:, None]",
    "np.sin(v)", "v.copy()", "v.ravel('K')", "v.flatten()", "np.atleast_2d(v)", "np.atleast_3d(v)",
    "np.outer(v, v)", "np.diag(v)", "np.broadcast_to(v, (3, v.size))", "v.conj()", "v.real",
    "v.astype(float, copy=False)", "np.polyder(v, 0)", "np.polyint(v, 0)",
    "np.polyder(v) if v.size else v", "np.ascontiguousarray(v, like=v)",
    "np.asfortranarray(v, like=v)", "np.ix_(v, v)", "np.tile(v, 1)",
    "np.lib.stride_tricks.sliding_window_view(v, 1) if v.size else v",
    "np.meshgrid(v, v, copy=False)", "np.einsum('i->i', v)", "np.einsum('i,j->ij', v, v)",
    "np.einsum('i,j->ji', v, v)", "np.split(v, [1])", "np.flip(v)", "v[::-1]", "np.trim_zeros(v)",
    "np.convolve(v, v) if v.size else v", "np.array(v, ndmin=2, copy=None, like=v)", "v[True]",
    "v[...]", "np.squeeze(v)", "np.resize(v, (2, 3)) if v.size else v", "np.vander(v)",
    "np.diff(v, n=0)", "np.unwrap(v)", "np.column_stack([v, v])", "np.stack([v, v], axis=1)",
    "np.vstack([v, v])", "np.tri(3, like=v)", "np.eye(3, like=v)", "np.tile(v, (2, 1))",
    "np.linalg.eigvals(np.outer(v, v)) if v.size else v",
]  # fmt: skip
OF_SCALARS = [
    "s.reshape(1)", "np.reshape(s, (1, 1))", "np.atleast_1d(s)", "np.atleast_2d(s)", "np.ravel(s)",
    "s[None]", "s[...]", "s[()]", "s[True]", "s[None, ...]", "np.expand_dims(s, 0)", "s.view()",
    "s.T", "np.transpose(s)", "np.squeeze(s)", "s.copy()", "np.copy(s)",
    "s.astype(float, copy=False)", "np.array(s, like=s)", "np.asarray(s, like=s)",
    "np.array(s, copy=None, ndmin=1, like=s)", "np.broadcast_to(s, (2,))",
    "np.broadcast_arrays(s, s)", "s.conj()", "s.real", "np.real(s)", "s.ravel()", "s.flatten()",
    "np.einsum('->', s)", "np.einsum('...->...', s)", "np.positive(s)", "s * 1.0", "np.sin(s)",
    "np.where(True, s, s)", "np.ascontiguousarray(s, like=s)", "np.zeros_like(s)",
    "np.full_like(s, 2.0)", "np.nan_to_num(s)", "np.round(s)", "np.clip(s, -1, 1)", "np.sum(s)",
    "np.stack([s, s])", "np.moveaxis(s, (), ())", "np.array([s, s], like=s)", "np.atleast_3d(s)",
    "np.concatenate([s[None], s[None]])",
]  # fmt: skip

CASES = [
    *[("x", e) for group in (UFUNCS, COPIES, VIEWS, ARRANGED, INDEXED, REDUCED, PRODUCTS, ORDERED,
                             LINEAR) for e in group],
    *[("t", e) for e in CUBED], *[("v", e) for e in OF_VECTORS], *[("s", e) for e in OF_SCALARS],
]  # fmt: skip
LAYOUTS = {"x": MATRICES, "t": CUBES, "v": VECTORS, "s": SCALARS}


def environment(name, a):
    """Return the names that an expression uses, for the array `a` that it is about."""
    names = {"np": np, "copy": copy, name: a}
    if name == "x" and a.ndim == 2:
        names["y"] = np.cos(a[::-1]) if a.shape != (3, 4) else np.cos(a.reshape(4, 3).T)
        names["m"] = a @ a.T + 9 * np.eye(len(a))
    return names
