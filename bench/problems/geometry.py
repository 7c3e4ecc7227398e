"""Cameras and hands: many small Jacobians, and one of moderate size, as GradBench defines them."""

from __future__ import annotations

from typing import Any

import numpy as np

import wengert as wg
from problems.peers import jax, jnp, torch
from problems.record import Derivative, Goal, Problem, seeded

__all__ = ["PROBLEMS"]


# --- bundle adjustment ----------------------------------------------------------------------------
def reprojection(p: Any, feature: Any) -> Any:
    """Error of one observation.

    `p` is a camera (rotation 3, centre 3, focal length, principal point 2, radial distortion 2), a
    point (3) and a weight.
    """
    rotation, centre, f, principal, k = p[:3], p[3:6], p[6], p[7:9], p[9:11]
    x = p[11:14] - centre
    angle = np.sqrt(np.sum(rotation**2))
    axis = rotation / angle
    c = np.cos(angle)
    rotated = x * c + np.cross(axis, x) * np.sin(angle) + axis * (np.dot(axis, x) * (1 - c))
    projected = rotated[:2] / rotated[2]
    r2 = np.sum(projected**2)
    distorted = projected * (1 + k[0] * r2 + k[1] * r2**2)
    return p[14] * (distorted * f + principal - feature)


def reprojection_jax(p: Any, feature: Any) -> Any:
    rotation, centre, f, principal, k = p[:3], p[3:6], p[6], p[7:9], p[9:11]
    x = p[11:14] - centre
    angle = jnp.sqrt(jnp.sum(rotation**2))
    axis = rotation / angle
    c = jnp.cos(angle)
    rotated = x * c + jnp.cross(axis, x) * jnp.sin(angle) + axis * (jnp.dot(axis, x) * (1 - c))
    projected = rotated[:2] / rotated[2]
    r2 = jnp.sum(projected**2)
    distorted = projected * (1 + k[0] * r2 + k[1] * r2**2)
    return p[14] * (distorted * f + principal - feature)


def reprojection_torch(p: Any, feature: Any) -> Any:
    rotation, centre, f, principal, k = p[:3], p[3:6], p[6], p[7:9], p[9:11]
    x = p[11:14] - centre
    angle = torch.sqrt(torch.sum(rotation**2))
    axis = rotation / angle
    c = torch.cos(angle)
    cross = torch.linalg.cross(axis, x)
    rotated = x * c + cross * torch.sin(angle) + axis * (torch.dot(axis, x) * (1 - c))
    projected = rotated[:2] / rotated[2]
    r2 = torch.sum(projected**2)
    distorted = projected * (1 + k[0] * r2 + k[1] * r2**2)
    return p[14] * (distorted * f + principal - feature)


BLOCKS = Derivative(
    lambda f: wg.vmap(wg.jacobian(f)),
    lambda f: jax.vmap(jax.jacrev(f)),
    lambda f: torch.func.vmap(torch.func.jacrev(f)),
    value=lambda f: wg.vmap(f),
)
"""A dense Jacobian for each element of a batch."""


def adjustment(n: int) -> Problem:
    rng = seeded(n)
    p = rng.standard_normal((n, 15))
    p[:, 5] -= 10  # cameras look at the points
    p[:, 6] = 500 + p[:, 6]
    p[:, 9:11] *= 0.01
    features = rng.standard_normal((n, 2))
    return Problem(
        f"ba {n:,} observations",
        reprojection,
        (p, features),
        jax=reprojection_jax,
        torch=reprojection_torch,
        derivative=BLOCKS,
        goal=Goal(value=None),
        rtol=1e-6,
    )


# --- hand tracking --------------------------------------------------------------------------------
BONES = 22  # wrist, four for each of five fingers, forearm
PARENTS = [-1, *(0 if i % 4 == 0 else i for i in range(20)), 0]
BEND = np.full(BONES, 20)  # which of a finger's 20 angles bends each bone; 20 for none
SPREAD = np.full(BONES, 20)
for finger in range(5):
    BEND[1 + 4 * finger : 4 + 4 * finger] = [4 * finger, 4 * finger + 2, 4 * finger + 3]
    SPREAD[1 + 4 * finger] = 4 * finger + 1


def hand(
    theta: Any, relatives: Any, inverses: Any, vertices: Any, weights: Any, picks: Any, points: Any
) -> Any:
    """Distances from points to vertices of a posed hand, which follow their bones.

    `theta` is the hand's rotation (3) and translation (3), then for each finger the bend and spread
    of its first bone and the bends of the next two.
    """
    angles = np.concatenate([theta[6:], np.zeros(1)])
    cx, sx = np.cos(angles[BEND]), np.sin(angles[BEND])
    cz, sz = np.cos(angles[SPREAD]), np.sin(angles[SPREAD])
    o, i = np.zeros(BONES), np.ones(BONES)
    rows = [cz, -sz * cx, sz * sx, o, sz, cz * cx, -cz * sx, o, o, sx, cx, o, o, o, o, i]
    local = relatives @ np.stack(rows, axis=1).reshape(BONES, 4, 4)
    absolute: list[Any] = []
    for bone, parent in enumerate(PARENTS):
        absolute.append(local[bone] if parent < 0 else absolute[parent] @ local[bone])
    transforms = (np.stack(absolute) @ inverses)[:, :3]
    skin = np.einsum("bij,bv->vij", transforms, weights)
    positions = np.einsum("vij,jv->vi", skin, vertices)
    angle = np.sqrt(np.sum(theta[:3] ** 2))
    axis = theta[:3] / angle
    along = (positions @ axis)[:, None] * axis
    cross = np.cross(axis, positions)
    turned = positions * np.cos(angle) + cross * np.sin(angle) + along * (1 - np.cos(angle))
    return points - turned[picks] - theta[3:6]


def hand_jax(
    theta: Any, relatives: Any, inverses: Any, vertices: Any, weights: Any, picks: Any, points: Any
) -> Any:
    angles = jnp.concatenate([theta[6:], jnp.zeros(1)])
    cx, sx = jnp.cos(angles[BEND]), jnp.sin(angles[BEND])
    cz, sz = jnp.cos(angles[SPREAD]), jnp.sin(angles[SPREAD])
    o, i = jnp.zeros(BONES), jnp.ones(BONES)
    rows = [cz, -sz * cx, sz * sx, o, sz, cz * cx, -cz * sx, o, o, sx, cx, o, o, o, o, i]
    local = relatives @ jnp.stack(rows, axis=1).reshape(BONES, 4, 4)
    absolute: list[Any] = []
    for bone, parent in enumerate(PARENTS):
        absolute.append(local[bone] if parent < 0 else absolute[parent] @ local[bone])
    transforms = (jnp.stack(absolute) @ inverses)[:, :3]
    skin = jnp.einsum("bij,bv->vij", transforms, weights)
    positions = jnp.einsum("vij,jv->vi", skin, vertices)
    angle = jnp.sqrt(jnp.sum(theta[:3] ** 2))
    axis = theta[:3] / angle
    along = (positions @ axis)[:, None] * axis
    cross = jnp.cross(axis, positions)
    turned = positions * jnp.cos(angle) + cross * jnp.sin(angle) + along * (1 - jnp.cos(angle))
    return points - turned[picks] - theta[3:6]


def hand_torch(
    theta: Any, relatives: Any, inverses: Any, vertices: Any, weights: Any, picks: Any, points: Any
) -> Any:
    angles = torch.cat([theta[6:], torch.zeros(1, dtype=theta.dtype)])
    bend, spread = angles[torch.as_tensor(BEND)], angles[torch.as_tensor(SPREAD)]
    cx, sx, cz, sz = torch.cos(bend), torch.sin(bend), torch.cos(spread), torch.sin(spread)
    o, i = torch.zeros_like(cx), torch.ones_like(cx)
    rows = [cz, -sz * cx, sz * sx, o, sz, cz * cx, -cz * sx, o, o, sx, cx, o, o, o, o, i]
    local = relatives @ torch.stack(rows, 1).reshape(BONES, 4, 4)
    absolute: list[Any] = []
    for bone, parent in enumerate(PARENTS):
        absolute.append(local[bone] if parent < 0 else absolute[parent] @ local[bone])
    transforms = (torch.stack(absolute) @ inverses)[:, :3]
    skin = torch.einsum("bij,bv->vij", transforms, weights)
    positions = torch.einsum("vij,jv->vi", skin, vertices)
    angle = torch.sqrt(torch.sum(theta[:3] ** 2))
    axis = theta[:3] / angle
    along = (positions @ axis)[:, None] * axis
    cross = torch.linalg.cross(axis.expand_as(positions), positions)
    turned = (
        positions * torch.cos(angle) + cross * torch.sin(angle) + along * (1 - torch.cos(angle))
    )
    return points - turned[picks] - theta[3:6]


JACOBIAN = Derivative(
    lambda f: wg.jacobian(f), lambda f: jax.jacfwd(f), lambda f: torch.func.jacfwd(f)
)
"""A dense Jacobian, all columns at once."""


def tracking(n: int, seen: int) -> Problem:
    """Make a hand of `n` vertices, some of them seen: GradBench's sizes, the numbers drawn."""
    rng = seeded(n)
    relatives = np.tile(np.eye(4), (BONES, 1, 1))
    relatives[:, :3, 3] = rng.standard_normal((BONES, 3))
    inverses = np.tile(np.eye(4), (BONES, 1, 1))
    inverses[:, :3, 3] = rng.standard_normal((BONES, 3))
    vertices = np.concatenate([rng.standard_normal((3, n)), np.ones((1, n))])
    weights = rng.random((BONES, n)) * (rng.random((BONES, n)) < 0.2) + 1e-3
    weights /= np.sum(weights, axis=0)
    picks, points = rng.integers(0, n, seen), rng.standard_normal((seen, 3))
    data = (relatives, inverses, vertices, weights, picks, points)
    return Problem(
        f"ht {n:,} vertices, {seen} points",
        hand,
        (rng.standard_normal(26), *data),
        jax=hand_jax,
        torch=hand_torch,
        derivative=JACOBIAN,
        goal=Goal(value=None),
        note="a drawn model of GradBench's sizes",
    )


PROBLEMS = [adjustment(31_843), tracking(10_000, 100)]
