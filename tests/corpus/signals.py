"""Signals and images."""

import cmath
import math
from collections import deque

import numpy as np
from corpus.registry import at

SIGNAL = np.array([0.1, 0.9, -0.4, 0.3, 1.2, -0.8, 0.5, 0.2])
IMAGE = np.array(
    [[0.1, 0.5, 0.9, 0.3], [0.7, 0.2, 0.4, 0.8], [0.6, 0.9, 0.1, 0.5], [0.3, 0.2, 0.8, 0.7]]
)


@at([0.25, 0.5, 0.3])
def fir_filter(taps):
    return np.convolve(SIGNAL, taps, mode="valid")


@at(([0.2, 0.3], [-0.5, 0.1]))
def iir_filter(b, a):
    y = np.zeros(len(SIGNAL))
    for n in range(len(SIGNAL)):
        for k in range(len(b)):
            if n - k >= 0:
                y[n] += b[k] * SIGNAL[n - k]
        for k in range(len(a)):
            if n - k - 1 >= 0:
                y[n] -= a[k] * y[n - k - 1]
    return y


@at(0.3, 0.9)
def exponential_smoothing(alpha):
    s = [SIGNAL[0]]
    for x in SIGNAL[1:]:
        s.append(alpha * x + (1 - alpha) * s[-1])
    return np.sum((np.array(s[:-1]) - SIGNAL[1:]) ** 2)


@at((0.3, 0.1), (0.8, 0.2))
def holt_linear(alpha, beta):
    level, trend = SIGNAL[0], SIGNAL[1] - SIGNAL[0]
    sse = 0
    for y in SIGNAL[1:]:
        forecast = level + trend
        sse += (y - forecast) ** 2
        last = level
        level = alpha * y + (1 - alpha) * (level + trend)
        trend = beta * (level - last) + (1 - beta) * trend
    return sse


@at([0.3, 0.1, -0.4, 1.0])
def dft_by_hand(x):
    N = len(x)
    X = np.zeros(N, dtype=complex)
    for k in range(N):
        for n in range(N):
            X[k] += x[n] * cmath.exp(-2j * cmath.pi * k * n / N)
    return np.abs(X[1:3]) ** 2


@at([0.3, 0.1, -0.4, 1.0, 0.2, 0.6, -0.1, 0.05])
def fft_recursive(x):
    def fft(x):
        N = len(x)
        if N <= 1:
            return x
        even = fft(x[0::2])
        odd = fft(x[1::2])
        T = [np.exp(-2j * np.pi * k / N) * odd[k] for k in range(N // 2)]
        return [even[k] + T[k] for k in range(N // 2)] + [even[k] - T[k] for k in range(N // 2)]

    return np.array([abs(v) for v in fft(x)])


@at([0.3, 0.1, -0.4, 1.0, 0.2, 0.6, -0.1, 0.05])
def spectral_centroid(x):
    window = np.hanning(len(x))
    spectrum = np.abs(np.fft.rfft(x * window))
    freqs = np.fft.rfftfreq(len(x), d=0.1)
    return (freqs * spectrum).sum() / spectrum.sum()


@at([0.3, 0.1, -0.4, 1.0, 0.2])
def autocorrelation(x):
    x = x - np.mean(x)
    result = np.correlate(x, x, mode="full")
    result = result[result.size // 2 :]
    return result / result[0]


@at([0.3, 0.1, -0.4, 1.0])
def haar(x):
    output = x.copy()
    n = len(output)
    while n > 1:
        n //= 2
        temp = output.copy()
        for i in range(n):
            temp[i] = (output[2 * i] + output[2 * i + 1]) / math.sqrt(2)
            temp[n + i] = (output[2 * i] - output[2 * i + 1]) / math.sqrt(2)
        output = temp
    return output


@at([[0.1, 0.2, 0.1], [0.0, 0.5, 0.1], [-0.1, 0.2, 0.3]])
def convolve2d(kernel):
    h, w = IMAGE.shape
    kh, kw = kernel.shape
    out = np.zeros((h - kh + 1, w - kw + 1))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = (IMAGE[i : i + kh, j : j + kw] * kernel).sum()
    return out


@at([[0.1, 0.5, 0.9], [0.7, 0.2, 0.4], [0.6, 0.95, 0.1]])
def sobel_magnitude(img):
    padded = np.pad(img, 1, mode="edge")
    kx = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
    gx, gy = np.zeros_like(img), np.zeros_like(img)
    for dy in range(3):
        for dx in range(3):
            part = padded[dy : dy + img.shape[0], dx : dx + img.shape[1]]
            gx += kx[dy][dx] * part
            gy += kx[dx][dy] * part
    return np.hypot(gx, gy).sum()


@at(0.8, 1.5)
def gaussian_blur(sigma):
    r = 2
    ax = np.arange(-r, r + 1)
    g = np.exp(-(ax**2) / (2 * sigma**2))
    g /= g.sum()
    padded = np.pad(IMAGE, r, mode="reflect")
    rows = np.apply_along_axis(lambda m: np.convolve(m, g, mode="valid"), 1, padded)
    both = np.apply_along_axis(lambda m: np.convolve(m, g, mode="valid"), 0, rows)
    return np.var(both)


@at((1.3, 2.4), (0.2, 0.7))
def bilinear(x, y):
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    x1, y1 = min(x0 + 1, IMAGE.shape[1] - 1), min(y0 + 1, IMAGE.shape[0] - 1)
    wx, wy = x - x0, y - y0
    top = (1 - wx) * IMAGE[y0, x0] + wx * IMAGE[y0, x1]
    bottom = (1 - wx) * IMAGE[y1, x0] + wx * IMAGE[y1, x1]
    return (1 - wy) * top + wy * bottom


@at((0.3, 1.0, 0.4))
def soft_histogram(centre, width, slope):
    edges = np.linspace(centre - width, centre + width, 4)
    counts = np.zeros(3)
    for v in IMAGE.flat:
        for b in range(3):
            counts[b] += 1 / (1 + np.exp(-(v - edges[b]) / slope)) - 1 / (
                1 + np.exp(-(v - edges[b + 1]) / slope)
            )
    p = counts / counts.sum()
    return -np.sum(p * np.log(p))


@at(2.2, 0.7)
def gamma_correction(g):
    linear = np.where(IMAGE <= 0.04045, IMAGE / 12.92, ((IMAGE + 0.055) / 1.055) ** g)
    return linear.mean()


@at([[0.1, 0.5, 0.9], [0.7, 0.2, 0.4]])
def total_variation(u):
    dx = u[:, 1:] - u[:, :-1]
    dy = u[1:, :] - u[:-1, :]
    return np.abs(dx).sum() + np.sqrt(dy**2 + 1e-3).sum()


@at([0.3, 0.1, -0.4, 1.0, 0.2, 0.6])
def median_filter(x):
    half = 1
    out = np.empty_like(x)
    for i in range(len(x)):
        lo, hi = max(0, i - half), min(len(x), i + half + 1)
        out[i] = np.median(x[lo:hi])
    return out


@at((0.9, 0.3))
def goertzel(frequency, scale):
    coeff = 2 * math.cos(2 * math.pi * frequency)
    s_prev = s_prev2 = 0.0
    for sample in SIGNAL:
        s = scale * sample + coeff * s_prev - s_prev2
        s_prev2, s_prev = s_prev, s
    return s_prev2 * s_prev2 + s_prev * s_prev - coeff * s_prev * s_prev2


@at([0.3, 0.1, -0.4, 1.0, 0.2, 0.6])
def moving_average(x, n=3):
    ret = np.cumsum(x, dtype=float)
    ret[n:] = ret[n:] - ret[:-n]
    return ret[n - 1 :] / n


@at([0.3, 0.1, -0.4, 1.0, 0.2, 0.6])
def running_maximum_of_window(x):
    window = deque(maxlen=3)
    out = []
    for v in x:
        window.append(v)
        out.append(max(window) - sum(window) / len(window))
    return np.array(out)


@at((0.35, [0.3, 0.1, -0.4, 1.0]))
def resample(shift, x):
    t = np.arange(len(x)) + shift
    return np.interp(t[:-1], np.arange(len(x)), x)


@at((0.1, 0.05), (0.3, 0.01))
def phase_locked_loop(kp, ki):
    theta, integral = 0.0, 0.0
    errors = []
    for n in range(12):
        reference = math.sin(0.5 * n + 0.3)
        error = reference * math.cos(0.5 * n + theta)
        integral += ki * error
        theta += kp * error + integral
        errors.append(error)
    return theta + np.std(errors)


@at(([0.3, 0.12, -0.4, 1.0], [0.21, 0.05, 0.5]))
def dynamic_time_warping(s, t):
    n, m = len(s), len(t)
    dtw = np.full((n + 1, m + 1), np.inf)
    dtw[0, 0] = 0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            cost = abs(s[i - 1] - t[j - 1])
            dtw[i, j] = cost + min(dtw[i - 1, j], dtw[i, j - 1], dtw[i - 1, j - 1])
    return dtw[n, m]


@at([[0.1, 0.5, 0.9], [0.7, 0.2, 0.4], [0.6, 0.95, 0.1]])
def structural_similarity(x):
    y = IMAGE[:3, :3]
    c1, c2 = 0.01**2, 0.03**2
    mx, my = x.mean(), y.mean()
    vx, vy = x.var(), y.var()
    cov = ((x - mx) * (y - my)).mean()
    return ((2 * mx * my + c1) * (2 * cov + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))


@at([0.8, 0.3, 0.5], [0.1, 0.6, 0.2])
def rgb_to_hsv(rgb):
    r, g, b = rgb
    mx, mn = max(rgb), min(rgb)
    df = mx - mn
    if mx == mn:
        h = 0
    elif mx == r:
        h = (60 * ((g - b) / df) + 360) % 360
    elif mx == g:
        h = (60 * ((b - r) / df) + 120) % 360
    elif mx == b:
        h = (60 * ((r - g) / df) + 240) % 360
    s = 0 if mx == 0 else df / mx
    return np.array([h / 360, s, mx])


@at([0.0, 1.0, 0.5, 2.0, 1.5])
def natural_spline(y):
    """The second derivatives, by Thomas' algorithm."""
    n = len(y)
    a = np.ones(n)
    b = np.full(n, 4.0)
    c = np.ones(n)
    d = np.zeros(n)
    b[0] = b[-1] = 1
    c[0] = a[-1] = 0
    d[1:-1] = 6 * (y[2:] - 2 * y[1:-1] + y[:-2])
    for i in range(1, n):
        w = a[i] / b[i - 1]
        b[i] -= w * c[i - 1]
        d[i] -= w * d[i - 1]
    m = np.zeros(n)
    m[-1] = d[-1] / b[-1]
    for i in range(n - 2, -1, -1):
        m[i] = (d[i] - c[i] * m[i + 1]) / b[i]
    return m


@at([0.3, 0.1, -0.4, 1.0, 0.2, 0.6])
def savitzky_golay(y):
    half = 2
    A = np.vander(np.arange(-half, half + 1), 3, increasing=True)
    coefficients = np.linalg.pinv(A)[0]
    return [np.dot(coefficients, y[i - half : i + half + 1]) for i in range(half, len(y) - half)]


@at([0.3, 0.1, -0.4, 1.0, 0.2, 0.6])
def threshold_in_place(x):
    y = x.copy()
    y[np.abs(y) < 0.25] = 0
    y[y < 0] *= 0.1
    np.clip(y, None, 0.9, out=y)
    return y


@at(([0.3, 0.1, -0.4], [1.0, 0.2, 0.6]))
def cosine_similarity(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


@at((0.45, 0.1), (0.02, 0.3))
def compressor(threshold, ratio):
    out = []
    for s in SIGNAL:
        level = abs(s)
        if level > threshold:
            level = threshold + (level - threshold) * ratio
        out.append(math.copysign(level, s))
    return np.array(out)


@at([0.4, 0.2, -0.3])
def linear_prediction(a):
    errors = SIGNAL[3:].copy()
    for k, ak in enumerate(a):
        errors -= ak * SIGNAL[2 - k : len(SIGNAL) - 1 - k]
    return errors @ errors


@at((1.1, 0.3))
def warped_grid(scale, angle):
    ys, xs = np.meshgrid(np.arange(3.0), np.arange(3.0), indexing="ij")
    c, s = np.cos(angle), np.sin(angle)
    u = scale * (c * xs - s * ys)
    v = scale * (s * xs + c * ys)
    return np.sum(np.sin(u) * np.cos(v))
