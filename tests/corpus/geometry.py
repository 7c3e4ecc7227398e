"""Geometry, graphics and kinematics."""

import math
from dataclasses import dataclass
from functools import reduce
from math import acos, asin, atan2, cos, degrees, radians, sin, sqrt

import numpy as np
from corpus.registry import at


@at([[0.0, 0.0], [2.0, 0.3], [2.4, 1.9], [0.6, 2.2]])
def shoelace(vertices):
    n = len(vertices)
    area = 0.0
    for i in range(n):
        j = (i + 1) % n
        area += vertices[i][0] * vertices[j][1]
        area -= vertices[j][0] * vertices[i][1]
    return abs(area) / 2.0


@at((3.0, 4.0, 5.5))
def heron(a, b, c):
    s = (a + b + c) / 2
    return (s * (s - a) * (s - b) * (s - c)) ** 0.5


@at((52.52, 13.4, 48.85, 2.35))
def haversine(lat1, lon1, lat2, lon2):
    lat1, lon1, lat2, lon2 = map(radians, [lat1, lon1, lat2, lon2])
    dlat = lat2 - lat1
    dlon = lon2 - lon1
    a = sin(dlat / 2) ** 2 + cos(lat1) * cos(lat2) * sin(dlon / 2) ** 2
    return 6371 * 2 * asin(sqrt(a))


class Vector:
    """A vector with the operators of arithmetic."""

    __slots__ = ("x", "y", "z")

    def __init__(self, x, y, z=0.0):
        self.x, self.y, self.z = x, y, z

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y, self.z + other.z)

    def __sub__(self, other):
        return self + (-other)

    def __neg__(self):
        return Vector(-self.x, -self.y, -self.z)

    def __mul__(self, k):
        if isinstance(k, Vector):
            return self.x * k.x + self.y * k.y + self.z * k.z
        return Vector(k * self.x, k * self.y, k * self.z)

    __rmul__ = __mul__

    def __truediv__(self, k):
        return self * (1 / k)

    def __matmul__(self, o):
        return Vector(
            self.y * o.z - self.z * o.y, self.z * o.x - self.x * o.z, self.x * o.y - self.y * o.x
        )

    def __abs__(self):
        return math.sqrt(self * self)

    def __iter__(self):
        return iter((self.x, self.y, self.z))

    def __getitem__(self, i):
        return (self.x, self.y, self.z)[i]

    def __len__(self):
        return 3

    def __eq__(self, other):
        return all(math.isclose(a, b) for a, b in zip(self, other))

    @property
    def normalised(self):
        return self / abs(self)


@at((0.3, 1.2, -0.4), (1.0, 0.2, 0.9))
def angle_between(a, b, c):
    u = Vector(a, b, c)
    v = Vector(1.0, 0.5, -0.3)
    if u == v:
        return 0.0
    return math.acos(u.normalised * v.normalised)


@at((0.3, 1.2, -0.4))
def tetrahedron(a, b, c):
    p = [Vector(a, 0, 0), Vector(0, b, 0.1), Vector(0.2, 0, c)]
    volume = abs((p[0] @ p[1]) * p[2]) / 6
    centroid = sum(p[1:], p[0]) / 4
    return volume + 2 * centroid[0] + sum(centroid)


def quaternion_product(q, r):
    w0, x0, y0, z0 = q
    w1, x1, y1, z1 = r
    return np.array(
        [
            -x0 * x1 - y0 * y1 - z0 * z1 + w0 * w1,
            x0 * w1 + y0 * z1 - z0 * y1 + w0 * x1,
            -x0 * z1 + y0 * w1 + z0 * x1 + w0 * y1,
            x0 * y1 - y0 * x1 + z0 * w1 + w0 * z1,
        ],
        dtype=np.float64,
    )


@at(([0.9, 0.1, -0.3, 0.2], [1.0, 2.0, 0.5]))
def rotate_by_quaternion(q, v):
    q = q / np.linalg.norm(q)
    conj = q.copy()
    conj[1:] *= -1
    return quaternion_product(quaternion_product(q, np.r_[0, v]), conj)[1:]


@at(([0.4, -0.3, 0.8], [1.0, 2.0, 0.5]))
def rodrigues(rotation, v):
    theta = np.linalg.norm(rotation)
    if theta < 1e-12:
        return v
    k = rotation / theta
    K = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    R = np.eye(3) + np.sin(theta) * K + (1 - np.cos(theta)) * K @ K
    return R @ v


@at([0.3, -0.2, 0.7])
def euler_angles(angles):
    def rx(a):
        return np.array([[1, 0, 0], [0, cos(a), -sin(a)], [0, sin(a), cos(a)]])

    def ry(a):
        return np.array([[cos(a), 0, sin(a)], [0, 1, 0], [-sin(a), 0, cos(a)]])

    def rz(a):
        return np.array([[cos(a), -sin(a), 0], [sin(a), cos(a), 0], [0, 0, 1]])

    R = rz(angles[2]) @ ry(angles[1]) @ rx(angles[0])
    yaw = degrees(atan2(R[1, 0], R[0, 0]))
    pitch = degrees(asin(-R[2, 0]))
    return np.array([yaw, pitch, R[2, 1]])


@at(([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0], [4.0, 0.0]], 0.3))
def de_casteljau(points, t):
    beta = [p for p in points]
    n = len(beta)
    for j in range(1, n):
        for k in range(n - j):
            beta[k] = beta[k] * (1 - t) + beta[k + 1] * t
    return beta[0]


@at(([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0], [4.0, 0.0]], 0.3))
def bernstein(points, t):
    n = len(points) - 1
    weights = [math.comb(n, k) * t**k * (1 - t) ** (n - k) for k in range(n + 1)]
    return np.array(weights) @ points


def cox_de_boor(x, k, i, t):
    if k == 0:
        return 1.0 if t[i] <= x < t[i + 1] else 0.0
    if t[i + k] == t[i]:
        c1 = 0.0
    else:
        c1 = (x - t[i]) / (t[i + k] - t[i]) * cox_de_boor(x, k - 1, i, t)
    if t[i + k + 1] == t[i + 1]:
        c2 = 0.0
    else:
        c2 = (t[i + k + 1] - x) / (t[i + k + 1] - t[i + 1]) * cox_de_boor(x, k - 1, i + 1, t)
    return c1 + c2


@at((0.3, [1.0, -0.4, 2.0, 0.5]), (0.7, [1.0, -0.4, 2.0, 0.5]))
def b_spline(x, c, k=2):
    t = [0, 0, 0, 0.5, 1, 1, 1]
    n = len(t) - k - 1
    assert len(c) >= n
    return sum(c[i] * cox_de_boor(x, k, i, t) for i in range(n))


@at(([0.0, 1.2, 0.7, 2.0], 0.4))
def catmull_rom(p, t):
    M = 0.5 * np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]])
    return np.array([1, t, t * t, t**3]) @ M @ p


@at(
    ([0.4, 1.3], [0.0, 0.0], [2.0, 1.0]),
    ([-0.4, 0.3], [0.0, 0.0], [2.0, 1.0]),
    ([3.4, 1.3], [0.0, 0.0], [2.0, 1.0]),
)
def distance_to_segment(p, a, b):
    ab = b - a
    t = np.dot(p - a, ab) / np.dot(ab, ab)
    if t < 0:
        return np.linalg.norm(p - a)
    if t > 1:
        return np.linalg.norm(p - b)
    return np.linalg.norm(p - (a + t * ab))


@at(([0.0, 0.1], [2.0, 0.3], [0.7, 1.9]))
def circumcircle(a, b, c):
    (ax, ay), (bx, by), (cx, cy) = a, b, c
    d = 2 * (ax * (by - cy) + bx * (cy - ay) + cx * (ay - by))
    ux = (
        (ax**2 + ay**2) * (by - cy) + (bx**2 + by**2) * (cy - ay) + (cx**2 + cy**2) * (ay - by)
    ) / d
    uy = (
        (ax**2 + ay**2) * (cx - bx) + (bx**2 + by**2) * (ax - cx) + (cx**2 + cy**2) * (bx - ax)
    ) / d
    return np.array((ux, uy, math.hypot(ax - ux, ay - uy)))


@at(([0.6, 0.5], [[0.0, 0.1], [2.0, 0.3], [0.7, 1.9]]))
def barycentric(p, triangle):
    T = np.vstack((triangle[0] - triangle[2], triangle[1] - triangle[2])).T
    l1, l2 = np.linalg.solve(T, p - triangle[2])
    return [l1, l2, 1 - l1 - l2]


@dataclass(frozen=True)
class Sphere:
    centre: np.ndarray
    radius: float

    def intersect(self, origin, direction):
        oc = origin - self.centre
        b = 2 * oc.dot(direction)
        c = oc.dot(oc) - self.radius**2
        disc = b * b - 4 * c
        if disc < 0:
            return None
        t = (-b - math.sqrt(disc)) / 2
        return t if t > 0 else None

    def normal(self, p):
        return (p - self.centre) / self.radius


@at([0.1, 0.05], [0.9, 0.9], [-0.3, 0.2])
def shade(pixel):
    """Trace one ray to the nearest of two spheres."""
    scene = [Sphere(np.array([0.0, 0.0, 3.0]), 1.0), Sphere(np.array([0.5, 0.5, 2.5]), 0.3)]
    d = np.array([pixel[0], pixel[1], 1.0])
    d /= np.linalg.norm(d)
    origin = np.zeros(3)
    nearest, hit = math.inf, None
    for s in scene:
        t = s.intersect(origin, d)
        if t is not None and t < nearest:
            nearest, hit = t, s
    if hit is None:
        return 0.1 * d[2]
    n = hit.normal(origin + nearest * d)
    return 0.2 + max(0.0, -(n @ d)) * 0.8


def smooth_min(a, b, k=0.3):
    h = max(k - abs(a - b), 0.0) / k
    return min(a, b) - h * h * k / 4


@at([0.4, 0.3, 0.2], [1.2, -0.5, 0.1])
def signed_distance(p):
    def sphere(p, r=0.5):
        return np.sqrt(np.sum(p**2)) - r

    def box(p, half):
        q = np.abs(p) - half
        return np.linalg.norm(np.maximum(q, 0.0)) + min(max(q[0], max(q[1], q[2])), 0.0)

    def torus(p, R=0.6, r=0.2):
        return math.hypot(math.hypot(p[0], p[2]) - R, p[1]) - r

    return reduce(smooth_min, [sphere(p), box(p, np.array([0.2, 0.4, 0.3])), torus(p)])


def dh(theta, d, a, alpha):
    ct, st, ca, sa = cos(theta), sin(theta), cos(alpha), sin(alpha)
    return np.array(
        [
            [ct, -st * ca, st * sa, a * ct],
            [st, ct * ca, -ct * sa, a * st],
            [0, sa, ca, d],
            [0, 0, 0, 1],
        ]
    )


@at([0.3, -0.7, 0.9])
def arm_position(joints):
    table = [(0.4, 0.0, math.pi / 2), (0.0, 0.5, 0.0), (0.1, 0.3, -math.pi / 2)]
    T = np.identity(4)
    for q, (d, a, alpha) in zip(joints, table):
        T = T.dot(dh(q, d, a, alpha))
    return T[:3, 3]


@at((0.9, 0.4), (0.2, 1.1))
def two_link_inverse(x, y, l1=0.8, l2=0.6):
    c2 = (x * x + y * y - l1 * l1 - l2 * l2) / (2 * l1 * l2)
    if not -1 <= c2 <= 1:
        raise ValueError("out of reach")
    q2 = acos(c2)
    q1 = atan2(y, x) - atan2(l2 * sin(q2), l1 + l2 * cos(q2))
    return q1, q2


@at([[0.1, 0.0], [1.0, 0.2], [0.4, 1.3]])
def kabsch_error(P):
    Q = np.array([[0.0, 0.0], [0.9, 0.5], [0.0, 1.2]])
    Pc = P - P.mean(axis=0)
    Qc = Q - Q.mean(axis=0)
    U, S, Vt = np.linalg.svd(Pc.T @ Qc)
    if np.linalg.det(Vt.T @ U.T) < 0:
        Vt[-1, :] *= -1
    R = Vt.T @ U.T
    return np.sqrt(np.mean(np.sum((Pc @ R.T - Qc) ** 2, axis=1)))


@at((800.0, 320.0, 240.0, [0.1, 0.2, 3.0]))
def pinhole(f, cx, cy, X):
    K = np.zeros((3, 3))
    K[0, 0] = K[1, 1] = f
    K[:2, 2] = cx, cy
    K[2, 2] = 1
    u = K @ X
    return (u / u[2])[:2]


@at([0.3, 1.0, 0.2, -0.5])
def path_length(heights):
    total = 0
    previous = None
    for point in enumerate(heights):
        if previous is not None:
            total += math.dist(previous, point)
        previous = point
    return total


@at([[0.0, 0.0], [2.0, 0.3], [2.4, 1.9], [0.6, 2.2], [1.2, 1.0]])
def hull_perimeter(points):
    """The monotone chain algorithm."""

    def cross(o, a, b):
        return (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])

    pts = sorted(map(tuple, points))
    lower, upper = [], []
    for p in pts:
        while len(lower) >= 2 and cross(lower[-2], lower[-1], p) <= 0:
            lower.pop()
        lower.append(p)
    for p in reversed(pts):
        while len(upper) >= 2 and cross(upper[-2], upper[-1], p) <= 0:
            upper.pop()
        upper.append(p)
    hull = lower[:-1] + upper[:-1]
    return sum(math.dist(a, b) for a, b in zip(hull, hull[1:] + hull[:1]))


@at((5.0, 2.0))
def mobius(a, b):
    """A transformation of the complex plane."""
    z = complex(a, b)
    w = (z - 1j) / (z + 1j)
    return w.real, w.imag, abs(w) ** 2


@at([1.0, 2.0, 0.5])
def spherical_round_trip(xyz):
    x, y, z = xyz
    r = np.linalg.norm(xyz)
    theta, phi = np.arccos(z / r), np.arctan2(y, x)
    back = r * np.array([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)])
    return np.stack([back, np.array([r, theta, phi])])


@at([0.2, 0.4, 0.9])
def lat_lon_box(angles):
    lo, *rest = sorted(angles)
    hi = rest[-1]
    return (hi - lo) ** 2 + sum(rest)


@at((0.3, 0.8, 1.7), (0.3, 0.8, 0.2))
def triangle_wave(amplitude, period, t):
    phase = (t / period) % 1.0
    return amplitude * (4 * abs(phase - 0.5) - 1)


@at([0.3, 0.8, 1.7, 2.0])
def fractal_tree(lengths):
    """The height of the tips of a tree that branches."""

    def branch(level, angle, y):
        if level == len(lengths):
            return [y]
        y = y + lengths[level] * math.cos(angle)
        return branch(level + 1, angle - 0.4, y) + branch(level + 1, angle + 0.3, y)

    tips = branch(0, 0.0, 0.0)
    return max(tips) + sum(tips) / len(tips)
