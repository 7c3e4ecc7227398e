"""Templates of expressions, by family. ``slots.py`` says what a hole stands for.

A family is on or off in a whole program, so that a program is about few things and these meet each
other often (swarm testing: Groce, Zhang, Eide, Chen and Regehr, ISSTA 2012).
"""

from __future__ import annotations

ELEMENTWISE = """
np.sin({a}) | np.cos({a}) | np.tanh({a}) | np.exp({a}) | np.exp(-{a} ** 2) | np.sinh({a})
np.cosh({a}) | np.arctan({r}) | np.arcsinh({r}) | np.expm1({a}) | np.square({a}) | -{a} | +{a}
np.negative({a}) | np.log({pos}) | np.log1p({pos}) | np.log2({pos}) | np.log10({pos})
np.sqrt({pos}) | np.cbrt({r} + 2) | np.arcsin({unit}) | np.arccos({unit}) | np.arctanh({unit})
np.arccosh(1 + {pos}) | np.exp2({r}) | np.reciprocal({pos}) | 1 / {pos} | {num} / {pos}
{a} / {pos} | {num} - {a} | {a} * {num} | {num} * {a} | {a} + {b} | {a} - {b} | {a} * {b}
{a} * {b} + {b} | np.add({a}, {b}) | np.multiply({b}, {a}) | {a} ** 2 | {a} ** 3 | {pos} ** 0.7
{pos} ** {b} | {num} ** {r} | {pos} ** -1.5 | {a} ** 0 | {a} ** 1 | np.power({pos}, {b})
np.float_power({pos}, 1.3) | np.hypot({r}, {b}) | np.arctan2({r}, {pos}) | np.maximum({r}, {b})
np.minimum({r}, {b}) | np.fmax({r}, {b}) | np.fmin({b}, {r}) | np.logaddexp({r}, {b})
np.logaddexp2({r}, {b}) | np.copysign({r}, {b}) | np.abs({a}) | abs({r}) | np.fabs({r})
np.sign({r}) | np.clip({r}, -0.4, 0.5) | np.clip({r}, None, 0.3) | {r}.clip(-0.2)
np.clip({r}, {b}, 0.9) | np.floor({r}) + {r} | np.rint(3 * {r}) | np.trunc({r}) | np.ceil({r})
np.round({r}, 1) | {r} // 0.3 | {r} % 0.7 | np.remainder({r}, {pos}) | np.fmod({r}, 0.6)
np.divmod({r}, 0.4)[1] | np.modf({r})[0] | np.ldexp({r}, 2) | np.sinc({r}) | np.i0({r})
np.deg2rad({r}) | np.degrees({r}) | np.heaviside({r}, 0.5) | np.nan_to_num({a})
np.where({mask:a}, {a}, {b}) | np.where({r} > 0, {r}, 0.1 * {r}) | np.where({mask:x}, {x}, 0)
np.real({a}) | np.imag({a}) | np.conj({a}) | {a}.real | {a}.conj()
np.angle({pos} * np.exp(1j * {unit}))
np.multiply({x}, {like:x}, where={mask:x}, out=np.zeros_like({x})) | {a} * ({r} > 0)
np.tan({unit}) | np.divide({a}, {pos}) | {a} - {row:a} | {a} * {row:a} | {row:a} + {a}
{row:a} / {pos}
""".strip()

SPECIAL = """
special.erf({r}) | special.erfc({r}) | special.expit({r}) | special.gammaln({pos})
special.psi({pos}) | special.gamma({pos}) | special.logit(0.5 + 0.4 * {unit})
special.xlogy({pos}, {pos1}) | special.ndtr({r}) | special.log_ndtr({r}) | special.entr({pos})
special.xlog1py({pos}, {pos1}) | special.log_expit({r}) | special.j0({r}) | special.j1({r})
special.i1({r}) | special.erfinv(0.9 * {unit}) | special.ndtri(0.5 + 0.4 * {unit})
special.logsumexp({y}) | special.softmax({y}, axis={axis:y})
""".strip()

REDUCE = """
np.sum({a}, axis={axes:a}) | np.sum({x}, axis={axes:x}, keepdims={bool}) | {x}.sum({axis:x})
np.mean({a}) | np.mean({x}, axis={axes:x}, keepdims={bool})
{x} - {x}.mean({axis:x}, keepdims=True) | np.prod({x}, axis={axis:x})
np.prod({a}, axis={axes:a}) | np.var({x}, axis={axes:x}) | np.std({y}, axis={axis:y}) + 1
np.var({y}, ddof=1) | np.max({y}, axis={axes:y}) | np.min({y}, axis={axes:y}, keepdims=True)
{y}.max() | np.ptp({y}, axis={axis:y}) | np.sum({x}, where={mask:x})
np.sum({x}, axis={axis:x}, where={mask:x}, initial=0.5) | np.mean({x}, where={mask:x})
np.max({y}, where={mask:y}, initial=-2.0) | np.prod({x}, where={mask:x})
np.sum({x}, initial=2.0) | np.cumsum({x}, axis={axis:x}) | np.cumprod({x}, axis={axis:x})
np.cumsum({x}) | np.add.accumulate({x}, axis={axis:x}) | np.maximum.accumulate({y}, axis={axis:y})
np.minimum.accumulate({y}) | np.multiply.accumulate({x}) | np.add.reduce({x}, axis={axes:x})
np.maximum.reduce({y}, axis={axis:y}) | np.logaddexp.reduce({y}, axis={axis:y})
np.multiply.reduce({x}, axis={axis:x}) | np.subtract.reduce({x})
np.add.reduceat({x}, {places:x}, axis=0) | np.median({y}) | np.median({y}, axis={axis:y})
np.quantile({y}, 0.3) | np.percentile({y}, [20, 70], axis={axis:y})
np.nansum({x}, axis={axis:x}) | np.nanmean({y}) | np.nanmax({y}, axis={axis:y}) | np.nanprod({x})
np.nanstd({y}) + 1 | np.average({x}, axis={axis:x}) | np.average({v}, weights={pos})
np.average({x}, weights=2 + {row:x}) | np.linalg.norm({a}) | np.linalg.norm({x}, axis={axis:x})
np.linalg.norm({y}, ord=1, axis={axis:y}) | np.trace({m}) | np.argmax({y}) * {a}
np.argmin({y}, axis={axis:y}) * 0.5 | np.count_nonzero({y} > 0) * {a} | np.any({y} > 0) * {a}
np.diff({x}, axis={axis:x}) | np.diff({x}, prepend=0.5) | np.ediff1d({x}) | np.gradient({v})
np.trapezoid({x}, axis={axis:x}) | np.cumulative_sum({v}, include_initial=True)
np.interp({r}, [-1.0, 0.1, 1.0], [0.3, 1.0, -0.5]) | np.unwrap({v}) | np.cov({m})
np.corrcoef(np.vstack([{v}, np.sin({v}) + 2])) | np.histogram({r}, 3, (-1, 1))[0] * {a}
np.add.outer({v}, {v1}) | np.multiply.outer({a}, {v}) | np.subtract.outer({v}, {v})
np.bincount([0, 1, 1], {v}[:3]) | np.sum({x}, axis={axis:x}, dtype=np.float32) | np.dot({v}, {v})
np.vdot({a}, {a}) | np.max({y}) - np.min({y})
""".strip()

VIEWS = """
{x}[{slice:x}] | {x}[{slice:x}] | {x}[{slice:x}] | {x}.T | np.transpose({x}, {order:x})
np.swapaxes({x}, 0, {axis:x}) | {a}.reshape({shape:a})
np.reshape({x}, {shape:x}, order={layout_ca}) | np.ravel({x}, {layout}) | {x}.ravel()
np.squeeze({a}) | np.expand_dims({a}, 0) | np.moveaxis({x}, 0, {axis:x})
np.rollaxis({x}, {axis:x}) | np.flip({x}, {axis:x}) | np.flip({x}) | np.flipud({x})
np.fliplr({m}) | np.rot90({m}, {k}) | np.diagonal({m}) | np.diagonal({m}, {k}) | np.diag({m})
np.broadcast_to({a}, {wider:a}) | np.broadcast_arrays({a}, {b})[0]
np.broadcast_arrays({a}, {b})[1] | {a}[...] | {a}[None] | np.atleast_1d({a}) | np.atleast_2d({a})
np.atleast_3d({a}) | {a}[..., None] | {m}.mT | np.split({x}, [1], axis={axis:x})[1]
np.array_split({x}, 2)[0] | np.hsplit({x}, [1])[0] | np.unstack({x})[0] | np.einsum('ij->ji', {m})
np.einsum('ii->i', {s}) | np.lib.stride_tricks.sliding_window_view({x}, 1, axis={axis:x})
np.lib.stride_tricks.sliding_window_view({v}, 2) | np.asarray({a}, like={a}) | {a}.view()
np.real({a}) | np.matrix_transpose({m}) | {x}[{slice:x}][...] | {x}[{i:x}]
""".strip()

COPIES = """
{a}.copy() | np.copy({a}) | np.copy({x}, order={layout}) | {x}.flatten({layout})
np.array({a}, like={a}) | {x}.copy({layout}) | np.concatenate([{x}, {x}], axis={axis:x})
np.concatenate([{x}, {like:x}], axis={axis:x}) | np.stack([{a}, {like:a}])
np.stack([{x}, {like:x}], axis={axis:x}) | np.hstack([{x}, {x}]) | np.vstack([{v}, {v}])
np.dstack([{x}, {x}]) | np.column_stack([{v}, {v}]) | np.append({x}, {a}) | np.tile({a}, {n})
np.tile({x}, (2, 1)) | np.repeat({x}, {n}, axis={axis:x}) | np.repeat({v}, 2)
np.roll({x}, {k}, axis={axis:x}) | np.roll({x}, 1) | np.pad({x}, {pads:x})
np.pad({x}, 1, mode='edge') | np.pad({v}, 2, mode='reflect') | np.pad({x}, 1, constant_values=0.5)
np.resize({x}, {shape:x}) | np.resize({a}, (2, 3)) | np.tril({m}) | np.triu({m}, {k})
np.diag({v}) | np.diagflat({v}) | np.insert({x}, 0, 0.7, axis={axis:x})
np.delete({x}, 0, axis={axis:x}) | np.block([[{m}, {m}]]) | np.zeros_like({a}) + {a}
np.full_like({a}, 0.3) * {a} | np.ones(3, like={a}) | np.kron({m}, {m}) | np.vander({v}, 3)
np.ascontiguousarray({x}, like={x}) | np.meshgrid({v}, {v1})[0] | np.unwrap({v})
np.select([{mask:x}], [{x}], 0.1) | np.astype({a}, np.float32) | {r}.astype('f4')
{r}.astype('f8') | np.trim_zeros({v}) | np.linspace({r}, {b}, 3) | {a} + 0
np.piecewise({y}, [{y} > 0], [lambda t: t ** 2, lambda t: -t])
np.apply_along_axis(np.cumsum, {axis:x}, {x}) | np.array_split({x}, 3)[1] * 2
""".strip()

INDEX = """
{x}[{fancy:x}] | {x}[{fancy:x}] | {x}[{fancy:x}] | np.take({x}, {places:x}, axis=0)
np.take({x}, [0, 0, -1]) | {x}[{mask:x}]
np.take_along_axis({y}, np.argsort({y}, axis={axis:y}, kind='stable'), axis={axis:y})
np.sort({y}, axis={axis:y}) | np.sort({y}, axis=None)
{y}[np.argsort({y}[:, 0] if {y}.ndim > 1 else {y}, kind='stable')] | np.compress({mask:v}, {v})
np.extract({mask:v}, {v}) | np.partition({v}, 0) | np.choose([0, 1], [{v}[:2], {v}[-2:]])
{x}[np.argmax({y}) % len({x})] | {x}[{i:x}] | {x}[np.nonzero({mask:x})] | {x}.take([-1])
{x}.flat[0] | {x}.flat[::2] | {x}.ravel()[np.array([0, -1, 0])]
{x}[..., np.array([[0, -1], [0, 0]])] | np.where({mask:x})[0] * 0.5
np.searchsorted(np.sort({v}), 0.1) * {a} | np.digitize({r}, [-0.5, 0.0, 0.5]) * {r}
np.argsort({v}, kind='stable')[0] * {a} | np.unique({v}) | np.lexsort(({v},))[0] * {a}
{m}[np.ix_([0, -1], [0, 0])] | {m}[np.diag_indices_from({m})] | {m}[np.tril_indices_from({m})]
{x}[np.newaxis, {i:x}] | {x}[[], ...]
""".strip()

CONTRACT = """
{m} @ {m}.T | {m}.T @ {m} | {m} @ {v} | {x} @ {x} | {v} @ {v} | {m} @ {m1} | {m1}.T @ {m}
np.dot({m}, {m}.T) | np.dot({a}, {b}) | np.outer({v}, {v1}) | np.inner({m}, {m})
np.inner({v}, {v}) | np.tensordot({m}, {m}, ([0], [0])) | np.tensordot({x}, {x}, axes={n})
np.einsum('ij,kj->ik', {m}, {m}) | np.einsum('ij,ij->j', {m}, {m})
np.einsum('ij,jk,kl->il', {m}, {m}.T, {m}) | np.einsum('ij->', {m})
np.einsum('i,j->ji', {v}, {v1}) | np.einsum('i,i', {v}, {v})
np.einsum('...i,...i->...', {x}, {x}) | np.einsum('ij,j->i', {m}, {m}[0]) | np.matmul({s}, {s})
{s} @ {s1} | np.vecdot({x}, {x}) | np.matvec({s}, {s}[..., 0]) | np.vecmat({s}[..., 0], {s})
np.kron({v}, {v1}) | np.convolve({v}, {v1}) | np.convolve({v}, [1.0, -1.0], 'same')
np.correlate({v}, {v1}, 'full') | np.cross({v}[:3], wave((3,), 2))
np.matmul({x}[..., None], {x}[..., None, :]) | np.linalg.multi_dot([{m}, {m}.T, {m}])
np.polyval({v}[:3], {a}) | np.vdot({v}, {v}) | {row:v} @ {v}
wave((3, 2), 4) @ np.resize({a}, (2, 3)) | np.resize({a}, (2, 3)) @ wave((3, 2), 4)[::-1]
np.polymul({v}[:3], {v}[:2])
""".strip()

LINALG = """
np.linalg.solve({s}, {s}[..., 0:1]) | np.linalg.inv({s}) | np.linalg.det({s})
np.linalg.slogdet({s})[1] | np.linalg.cholesky({h}) | np.linalg.eigh({h})[0]
np.linalg.eigvalsh({h}) | np.linalg.svd({m}, compute_uv=False) | np.linalg.pinv({s})
np.linalg.norm({m}, 'fro') | np.linalg.norm({s}, 2) | np.linalg.qr({s})[1]
np.linalg.matrix_power({s} / 4, {n}) | np.linalg.lstsq({s}, {s}[..., 0], rcond=None)[0]
np.linalg.eigvals({h}).real | abs(np.linalg.eigh({h})[1]) | np.linalg.svd({s})[1]
np.linalg.qr({s})[0] @ {s} | np.linalg.solve({h}, {h}[0]) | np.linalg.norm({v}, 3)
np.linalg.norm({v}, np.inf) | np.linalg.matrix_norm({m}) | np.linalg.vector_norm({x})
np.linalg.tensorsolve({h}, {h}[0]) | np.linalg.cond({h})
scipy.linalg.solve_triangular({h}, {h}[0]) | np.linalg.trace({s}) | np.linalg.eigh({h})[0][::-1]
np.linalg.inv({h})[0]
""".strip()

FFT = """
np.fft.fft({x}, axis={axis:x}) | np.fft.ifft({x}) | np.fft.rfft({y}) | np.fft.irfft({z}, 5)
np.fft.fft2({m}) | np.fft.fftshift({x}) | np.fft.fft({x}, 4) | abs(np.fft.fft({x})) ** 2
np.fft.rfft({y}, axis={axis:y}, norm='ortho') | np.fft.fftn({x})
np.fft.ifftshift({x}, axes={axis:x}) | np.fft.irfft(np.fft.rfft({y}))
np.fft.ifft(np.fft.fft({x}) * np.fft.fft({x})).real | np.fft.hfft({z}) | np.fft.rfft2({m}).imag
""".strip()

COMPLEX = """
{z} * {z} | {z} + {a} | np.exp({z}) | abs({z}) | {z}.real | {z}.imag * 2 | np.conj({z}) * {z}
{z} @ {z} | np.abs({z}) ** 2 | {z} / (2 + {pos}) | np.sum({z}) | {z}.T | {z}[{slice:z}]
np.sqrt({z} + 3) | np.log({z} + 3) | np.sin({z}) | {z} ** 2 | np.mean({z}, axis={axes:z})
np.angle({z} + 3) | np.real({z} * 1j) | np.cumsum({z}) | np.vdot({z}, {z})
np.where({mask:z}, {z}, 1j) | np.concatenate([np.ravel({z}), np.ravel({a})])
np.linalg.solve({s} + 0j, np.eye(len({s}))) | np.outer({z}, {z}) | {z}.conj().T | np.prod({z})
np.linalg.norm({z}) | {z} ** 0.5 * 1j + {z} | np.tanh({z})
""".strip()

NUMBERS = """
float({num}) * {a} | {a}.ndim * {a} | len({x}) * {x} | {x}.shape[0] * 0.1 + {x}
np.float32({num}) * {a} | np.int64(2) * {a} | True * {a} | {a} * np.float64(0.5)
{a} + np.array(2) | ({a} > 0) * 1.5 if {r}.dtype.kind == 'f' else {a}
np.arange(3) * np.mean({r}) | {a} * 10 ** -1 | {x}.size / 7 * {x} | np.arange(len({x})) @ {x}
{r} > {num} | np.sign({r}).astype(int) | ({r} > 0) & ({r} < 0.5) | np.isfinite({a})
np.int32(3) / {pos} | {a} * 1e-3 | round({num} * 3) * {a} | max({r}.sum(), 0.1) * {a}
min(0.4, {r}.max()) | sum({v}) | sum([{a}, {a} * 2]) | abs({r}.min()) ** 0.5 | {a} / 2 ** 3
pow({pos}, 1.5) | {r}.sum().item() * 2 if False else {a}
""".strip()

BIG = """
np.resize({a}, (70, 9)).T @ np.resize({a}, (70, 8))
np.resize({a}, (33, 17)) @ np.resize({a}, (17, 5))
np.resize({a}, (130,)) @ np.resize({a}, (130, 3)) | np.sum(np.sin(np.resize({a}, (9, 300))))
np.resize({a}, (9, 300)).sum(1) | np.resize({a}, (300, 9)).T[::-1] @ np.resize({a}, (300,))
np.resize({a}, (700, 40)).T @ np.resize({a}, (700, 40))
np.resize({a}, (1, 2000)) @ np.resize({a}, (2000, 1))
np.resize({a}, (64, 64)) @ np.resize({a}, (64, 64))
np.resize({a}, (2, 65, 31)) @ np.resize({a}, (2, 31, 66))
np.cumsum(np.resize({a}, (257,)))[::64]
np.sort(np.resize({v} + np.arange({v}.size), (500,)))[::100]
np.mean(np.resize({a}, (40, 50)) ** 2, axis=0) | np.resize({a}, (4097,))[1::512]
np.broadcast_to({a}, (70, *{a}.shape)).sum(0)
np.broadcast_to(np.resize({a}, (1, 70)), (65, 70)) @ np.resize({a}, (70, 66))
np.resize({a}, (80, 80))[::-1, ::-1] @ np.resize({a}, (80, 3))
np.einsum('ij,kj->ik', np.resize({a}, (50, 60)), np.resize({a}, (40, 60)))
np.outer(np.resize({a}, (90,)), np.resize({a}, (80,))) | np.max(np.resize({r}, (100, 20)), axis=1)
""".strip()


BANDS = """
{v}[1:] * {v}[:-1] | {x}[1:] - {x}[:-1] | np.diff({v}) ** 2 | np.roll({v}, 1) * {v} - np.sin({v})
np.convolve({v}, [1.0, -2.0, 1.0], 'same') * {v} | np.where({mask:v}, {v} ** 2, 0) | {v}[::2] * 3
np.add.reduceat({v}[{places:v}] * 0.5, [0]) | np.bincount({places:v}, minlength=2) * np.sum({v})
np.bincount([0, 0, 1], {v}[[0, -1, 0]]) | np.outer({v}, {v})[0] | np.diag({v} * {v})[:, 0]
np.concatenate([{v}[:1] * 0, {v}[1:] * {v}[:-1]]) | np.maximum({v}, 0) * {v}
np.pad({v}, 1)[2:] - 2 * {v} + np.pad({v}, 1)[:-2] | {v} * (np.arange({v}.size) % 2)
np.einsum('i,i->i', {v}, {v}) | np.cumsum({v})[-1:] | np.tril({m}) * {m}
{v}[[0, -1]] * wave((3, 2), 4) | np.where(np.arange({v}.size) < 2, np.exp({v}), 1.0)
""".strip()


def _split(table: str) -> tuple[str, ...]:
    return tuple(part.strip() for line in table.split("\n") for part in line.split(" | "))


FAMILIES = {
    "elementwise": _split(ELEMENTWISE),
    "special": _split(SPECIAL),
    "reduce": _split(REDUCE),
    "views": _split(VIEWS),
    "copies": _split(COPIES),
    "index": _split(INDEX),
    "contract": _split(CONTRACT),
    "linalg": _split(LINALG),
    "fft": _split(FFT),
    "complex": _split(COMPLEX),
    "numbers": _split(NUMBERS),
    "big": _split(BIG),
    "bands": _split(BANDS),
}

SHARES = {
    "elementwise": 100,
    "special": 25,
    "reduce": 60,
    "views": 75,
    "copies": 45,
    "index": 45,
    "contract": 40,
    "linalg": 20,
    "fft": 10,
    "complex": 15,
    "numbers": 30,
    "big": 8,
    "bands": 12,
}
"""In how many of a hundred programs a family takes part."""

UPDATES = """
{w} += {b} | {w} -= {w} * {b} | {w} *= 0.5 | {w} *= {b} | {w} /= {pos} | {w}[...] = {like:w}
{w}[{slice:w}] = {num} | {w}[{slice:w}] = {r} | {w}[{slice:w}] += {num} | {w}[{slice:w}] *= {b}
{w}[1:] += {w}[:-1] | {w}[:-1] = {w}[1:] | {w}[::-1] += {w} | {w}[:] = {w}[::-1]
{w}[..., 1:] -= 0.5 * {w}[..., :-1] | {w}[{fancy:w}] = {num} | {w}[{fancy:w}] += 0.5
{w}[{fancy:w}] *= 2 | np.add.at({w}, {places:w}, {num}) | np.add.at({w}, {places:w}, {r})
{w}[{mask:w}] = 0 | {w}[{mask:w}] *= -1 | np.sin({w}, out={w}) | np.multiply({w}, {b}, out={w})
np.add({w}, {b}, out={w}, where={mask:w}) | np.exp(-{w} ** 2, out={w})
np.cumsum({w}, axis=0, out={w}) | np.maximum({w}, 0, out={w}) | np.copyto({w}, {like:w})
np.copyto({w}, 0.3, where={mask:w}) | {w}.fill(0.2) | {w}.sort(axis=0) | {w}.flat[0] = {num}
np.put({w}, [0, -1], [0.1, 0.2]) | np.put({w}, [0], {num}) | {w}.T[...] = {w}.T * 2
{w}.reshape(-1)[0] = {num} | {w}.reshape(-1)[:] *= 0.7 | np.fill_diagonal({w}, 0.5)
{w}[0], {w}[-1] = {w}[-1], {w}[0] | np.place({w}, {mask:w}, [0.4])
np.putmask({w}, {mask:w}, 0.6) | np.ravel({w})[::2] += 1 | {w}[{i:w}] = {w}[{i:w}] * 2
np.subtract({w}[1:], {w}[:-1], out={w}[1:]) | np.add.at({w}, ({places:w},), 1.0)
{w}.real[...] = 0.3 | np.swapaxes({w}, 0, -1)[...] *= 1.5 | {w} = {w}; {w} += 1
np.take({w}, [0], axis=0, out={w}[:1]) | {w}.squeeze()[...] = 0.1
np.put_along_axis({w}, np.argsort({w}, axis=0, kind='stable')[:1], 0.3, axis=0)
np.matmul({w}, {w}.T, out={w})
np.sum({w}, axis=0, out={w}[0]) | np.clip({w}, -0.2, 0.3, out={w})
""".strip()

UPDATE_LINES = _split(UPDATES)
