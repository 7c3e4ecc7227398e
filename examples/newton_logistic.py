"""Logistic regression with Newton's method on the breast-cancer data of scikit-learn.

The Hessian is the derivative of the gradient, exact to rounding; the answer is compared with
scikit-learn's own solver of the same problem.
"""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

import wengert as wg

PENALTY = 1.0  # of half the squared weights; the intercept is free

x, label = load_breast_cancer(return_X_y=True)
rng = np.random.default_rng(0)
order = rng.permutation(len(x))
train, test = order[:426], order[426:]
x = (x - x[train].mean(axis=0)) / x[train].std(axis=0)


def loss(w):
    """Negative log-likelihood plus the penalty; w holds the weights, then the intercept."""
    score = x[train] @ w[:-1] + w[-1]
    return np.sum(np.logaddexp(0.0, score) - label[train] * score) + 0.5 * PENALTY * w[:-1] @ w[:-1]


def newton(w, tolerance=1e-8):
    value_and_grad, hessian = wg.jit(wg.value_and_grad(loss)), wg.jit(wg.hessian(loss))
    for k in range(30):
        value, gradient = value_and_grad(w)
        size = np.linalg.norm(gradient)
        print(f"  step {k}: loss {value:10.6f}, |gradient| {size:.1e}")
        if size < tolerance:
            break
        step = np.linalg.solve(hessian(w), -gradient)
        length = 1.0
        while loss(w + length * step) > value + 1e-4 * length * (gradient @ step):
            length /= 2
        w = w + length * step
    return w


def main():
    print("Newton's method")
    w = newton(np.zeros(x.shape[1] + 1))
    accuracy = np.mean((x[test] @ w[:-1] + w[-1] > 0) == label[test])
    reference = LogisticRegression(C=1 / PENALTY, tol=1e-10, max_iter=10_000)
    reference.fit(x[train], label[train])
    difference = np.max(np.abs(reference.coef_[0] - w[:-1]))
    print(f"accuracy on {len(test)} held-out patients: {accuracy:.1%}")
    print(f"largest difference from scikit-learn's weights: {difference:.1e}")
    return {"accuracy": accuracy, "difference": difference}


if __name__ == "__main__":
    main()
