"""Files that were damaged or changed: one error says so, and nothing is allocated for a claim."""

from __future__ import annotations

import io
import json
import signal
import tracemalloc
import zipfile

import numpy as np
import pytest

import wengert as wg
from wengert.errors import DataError
from wengert.files import ArchiveError, digest_of, read_arrays, write_atomic

X = np.random.default_rng(2).random(12)


def f(x):
    return np.tanh(x[1:] * x[:-1]) + x[0]


@pytest.fixture(params=["accumulate", "forward", "both"])
def plan(request, tmp_path):
    path = tmp_path / "plan.npz"
    wg.jacobian(f, format="csr", mode=request.param).plan(X).save(path)
    return path


def same(loaded):
    np.testing.assert_allclose(loaded(X).toarray(), wg.jacobian(f)(X), rtol=1e-12)


# --- damage ---------------------------------------------------------------------------------------
@pytest.mark.share(5)
@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_every_flipped_byte_is_noticed_or_harmless(plan, mask):
    content = plan.read_bytes()
    before = read_arrays(plan)
    step = max(len(content) // 400, 1)
    for place in range(mask % step, len(content), step):
        damaged = bytearray(content)
        damaged[place] ^= mask
        plan.write_bytes(damaged)
        try:
            found = read_arrays(plan)
        except ArchiveError:
            with pytest.raises(DataError, match="is not a saved plan"):
                wg.load_plan(plan, f)
            continue
        if found.keys() != before.keys():  # a name was hit
            with pytest.raises(DataError):
                wg.load_plan(plan, f)
            continue
        for name, x in found.items():
            np.testing.assert_array_equal(x, before[name])


def test_truncated_and_longer_files(plan):
    content = plan.read_bytes()
    for n in {*range(0, len(content), max(len(content) // 60, 1)), len(content) - 1}:
        plan.write_bytes(content[:n])
        with pytest.raises(DataError, match="is not a saved plan"):
            wg.load_plan(plan, f)
    plan.write_bytes(content + b"more")
    same(wg.load_plan(plan, f))
    plan.write_bytes(content[: len(content) // 2] + bytes(100) + content[len(content) // 2 :])
    with pytest.raises(DataError):
        wg.load_plan(plan, f)


def test_files_that_are_something_else(tmp_path):
    path = tmp_path / "plan.npz"
    for content in (b"", b"PK", b"PK\x05\x06" + bytes(18), b"\x93NUMPY", b"text", bytes(1000)):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is not a saved plan"):
            wg.load_plan(path, f)
    np.save(tmp_path / "one.npy", X)
    with pytest.raises(DataError, match="is not a saved plan"):
        wg.load_plan(tmp_path / "one.npy", f)
    with pytest.raises(FileNotFoundError):
        wg.load_plan(tmp_path / "none.npz", f)
    with pytest.raises(IsADirectoryError):
        wg.load_plan(tmp_path, f)


# --- claims ---------------------------------------------------------------------------------------
def npy(shape, dtype="<f8", data=bytes(24)):
    """An array in NumPy's format that claims a shape."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return file.getvalue() + data


CLAIMS = {
    "3.6 TiB": npy((500_000_000_000,)),
    "more than there are numbers for": npy((10**30,)),
    "one more": npy((4,)),
    "one less": npy((2,)),
    "a product that overflows": npy((2**32, 2**32)),
    "a negative length": npy((-3,)),
    "two negative lengths": npy((-1, -3)),
    "no axes": npy(()),
    "objects": npy((3,), "|O"),
    "a wider dtype": npy((3,), "<c16"),
    "text without end": npy((1,), "<U1000000000"),
    "no header": b"\x93NUMPY",
    "another version": b"\x93NUMPY\x09\x00" + bytes(40),
    "not NumPy's": b"something else",
    "a header that is code": b"\x93NUMPY\x01\x00\x20\x00" + b"__import__('os').abort()".ljust(32),
    "a header that is cut": npy((3,))[:20],
    "a header without end": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(100),
}


MEMBERS = ("indptr", "indices", "about", "example0", "digest")


@pytest.mark.parametrize("packed", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("name", CLAIMS)
def test_claims_are_compared_with_the_file(tmp_path, name, packed):
    plan = tmp_path / "plan.npz"
    wg.jacobian(f, format="csr").plan(X).save(plan)
    content = plan.read_bytes()
    for member in MEMBERS:
        plan.write_bytes(content)
        claim(plan, name, member, packed)


def claim(plan, name, member, packed):
    with zipfile.ZipFile(plan) as old:
        parts = {m: old.read(m) for m in old.namelist()}
    parts[f"{member}.npy"] = CLAIMS[name]
    with zipfile.ZipFile(plan, "w", packed) as new:
        for m, data in parts.items():
            new.writestr(m, data)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"plan\.npz is not a saved plan: .+"):
            wg.load_plan(plan, f)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


def test_sizes_in_the_directory(plan):
    """A member that claims to be larger than its bytes can be."""
    content = bytearray(plan.read_bytes())
    for i in range(len(content) - 46):
        if content[i : i + 4] == b"PK\x01\x02":
            for size in (0xFFFFFFF0, 0x7FFFFFFF, 0):
                damaged = bytearray(content)
                damaged[i + 24 : i + 28] = size.to_bytes(4, "little")
                plan.write_bytes(damaged)
                with pytest.raises(DataError, match="is not a saved plan"):
                    wg.load_plan(plan, f)


def test_arrays_come_back(tmp_path):
    arrays = {
        "floats": np.arange(6.0).reshape(2, 3), "columns": np.asfortranarray(np.eye(3)[:, :2]),
        "number": np.array(3.0), "none": np.zeros((0, 4)), "text": np.array(["a", "bc"]),
        "bits": np.array([True, False]), "big": np.arange(3, dtype=">i4"), "zeros": np.zeros(10**6),
        "record": np.zeros(2, [("a", "f8"), ("b", "i4")]),
    }  # fmt: skip
    for write in (np.savez, np.savez_compressed):
        write(tmp_path / "a.npz", **arrays)
        found = read_arrays(tmp_path / "a.npz")
        assert found.keys() == arrays.keys()
        for name, x in arrays.items():
            np.testing.assert_array_equal(found[name], x)
            assert found[name].dtype == x.dtype
            assert found[name].flags.writeable
            assert found[name].flags.f_contiguous == x.flags.f_contiguous
    np.savez(tmp_path / "a.npz", x=np.array([{}], dtype=object))
    with pytest.raises(ArchiveError, match="holds Python objects"):
        read_arrays(tmp_path / "a.npz")


# --- what does not fit together -------------------------------------------------------------------
def changed(about, **values):
    about.update(values)


HOSTILE = {
    "kind": lambda about, a: changed(about, kind="gradient"),
    "kind of another type": lambda about, a: changed(about, kind=["jacobian"]),
    "mode": lambda about, a: changed(about, mode="sideways"),
    "mode auto": lambda about, a: changed(about, mode="auto"),
    "a mode of other colours": lambda about, a: changed(
        about, mode="forward" if about["colouring"] is None else "accumulate"
    ),
    "format": lambda about, a: changed(about, format="operator"),
    "value": lambda about, a: changed(about, value=2),
    "chunk of 0": lambda about, a: changed(about, chunk=0),
    "chunk of text": lambda about, a: changed(about, chunk="all"),
    "shape": lambda about, a: changed(about, shape=[11]),
    "a shape without end": lambda about, a: changed(about, shape=[10**12, 12]),
    "columns without end": lambda about, a: changed(about, shape=[11, 10**12]),
    "a shape of text": lambda about, a: changed(about, shape=["11", "12"]),
    "a negative shape": lambda about, a: changed(about, shape=[-11, 12]),
    "argnums": lambda about, a: changed(about, argnums="x"),
    "argnums that there are not": lambda about, a: changed(about, argnums=7),
    "args": lambda about, a: changed(about, args={"is": 3}),
    "args of an unknown kind": lambda about, a: changed(about, args={"code": "x"}),
    "args of nothing": lambda about, a: changed(about, args={}),
    "args that are missing": lambda about, a: a.pop("example0"),
    "hash": lambda about, a: changed(about, hash=None),
    "nothing": lambda about, a: about.pop("text"),
    "indices that fall": lambda about, a: changed(a, indices=a["indices"][::-1]),
    "indices out of range": lambda about, a: changed(a, indices=a["indices"] + 5),
    "indices of floats": lambda about, a: changed(a, indices=a["indices"] * 1.0),
    "indices cut": lambda about, a: changed(a, indices=a["indices"][:-1]),
    "indptr that falls": lambda about, a: changed(a, indptr=a["indptr"][::-1]),
    "indptr cut": lambda about, a: changed(a, indptr=a["indptr"][:-1]),
    "indptr beyond the end": lambda about, a: changed(a, indptr=a["indptr"] * 2),
}
COLOURS = {
    "colours cut": lambda about, a: changed(a, columns=a["columns"][:-1]),
    "colours without end": lambda about, a: changed(a, columns=a["columns"] + 10**9),
    "colours of floats": lambda about, a: changed(a, columns=a["columns"] * 1.0),
    "colours missing": lambda about, a: a.pop("columns"),
    "rows too": lambda about, a: changed(a, rows=np.zeros(11, np.int32)),
    "gather out of range": lambda about, a: changed(a, gather=a["gather"] + 10**6),
    "gather below": lambda about, a: changed(a, gather=a["gather"] - 10**6),
    "gather cut": lambda about, a: changed(a, gather=a["gather"][:-1]),
    "chunk without end": lambda about, a: changed(about, chunk=10**12),
    "structure": lambda about, a: about["colouring"].update(structure="none"),
    "partition": lambda about, a: about["colouring"].update(partition="none"),
    "decompression": lambda about, a: about["colouring"].update(decompression="none"),
    "bound": lambda about, a: about["colouring"].update(bound="two"),
    "a colouring that is a list": lambda about, a: changed(about, colouring=[1]),
}


def rewritten(path, change, digest):
    arrays = read_arrays(path)
    about = json.loads(arrays["about"].tobytes().decode())
    change(about, arrays)
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    if digest:
        arrays["digest"] = digest_of(arrays)
    np.savez(path, **arrays)


@pytest.mark.share(4)
@pytest.mark.parametrize("name", HOSTILE)
def test_what_does_not_fit(plan, name):
    for digest in (False, True):
        content = plan.read_bytes()
        rewritten(plan, HOSTILE[name], digest)
        with pytest.raises(DataError, match=r"plan\.npz is a plan that was (damaged or )?changed"):
            wg.load_plan(plan, f)
        plan.write_bytes(content)


@pytest.mark.parametrize("digest", [False, True])
@pytest.mark.parametrize("name", COLOURS)
def test_colours_that_do_not_fit(tmp_path, name, digest):
    path = tmp_path / "plan.npz"
    wg.jacobian(f, format="csr", mode="forward").plan(X).save(path)
    rewritten(path, COLOURS[name], digest)
    with pytest.raises(DataError, match=r"plan\.npz is a plan that was damaged or changed: .+"):
        wg.load_plan(path, f)


def test_colours_that_fit_and_are_wrong(tmp_path):
    """They can only be told by what they compute."""
    path = tmp_path / "plan.npz"
    for example in (X, np.full(12, np.nan)):
        wg.jacobian(f, format="csr", mode="forward").plan(example).save(path)
        rewritten(path, lambda about, a: changed(a, columns=a["columns"] * 0), True)
        with pytest.raises((wg.errors.SparsityError, DataError)):
            wg.load_plan(path, f)


def test_an_interrupt_waits_for_the_file(tmp_path):
    """It comes while the file is written: the file is whole, and no temporary one is left."""

    def write(file):
        file.write(b"first")
        signal.raise_signal(signal.SIGINT)
        file.write(b" second")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            write_atomic(tmp_path / "whole", write)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert [p.name for p in tmp_path.iterdir()] == ["whole"]
    assert (tmp_path / "whole").read_bytes() == b"first second"
