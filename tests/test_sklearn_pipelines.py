"""Laws of scikit-learn models behind scalers and in searches: the same function, in the units of the data."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from regions.errors import InvalidNetworkError
from regions.network.loaders import from_sklearn

pytest.importorskip("sklearn", reason="needs scikit-learn")


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal([3.0, -2.0, 100.0], [4.0, 0.5, 30.0], (80, 3))
    return x, (x[:, 0] * x[:, 1] > -6).astype(int)


def perceptron(**options: Any) -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier((6,), solver="lbfgs", max_iter=200, random_state=0, **options)


def fitted(model: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(*data())


@pytest.mark.sweep(2)
@pytest.mark.parametrize("kind", ["StandardScaler", "MinMaxScaler", "MaxAbsScaler"])
@pytest.mark.parametrize("search", [False, True])
def test_scalers_are_layers_in_front(kind: str, search: bool) -> None:
    from sklearn import preprocessing
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(getattr(preprocessing, kind)(), "passthrough", perceptron())
    if search:
        model = GridSearchCV(model, {"mlpclassifier__alpha": [0.1]}, cv=2)
    model = fitted(model)
    network, (x, _) = from_sklearn(model), data()
    chance = 1.0 / (1.0 + np.exp(-network.forward(x)[:, 0]))
    np.testing.assert_allclose(chance, model.predict_proba(x)[:, 1], rtol=1e-8, atol=1e-12)
    # the perceptron's own weights are the last two layers, to the bit
    last = (model.best_estimator_ if search else model)[-1]
    for weight, coefficients in zip(network.weights[-2:], last.coefs_, strict=True):
        np.testing.assert_array_equal(weight, coefficients.T)


def test_a_search_over_a_perceptron_is_its_best_one() -> None:
    from sklearn.model_selection import GridSearchCV

    model = fitted(GridSearchCV(perceptron(), {"alpha": [0.1, 1.0]}, cv=2))
    assert from_sklearn(model) == from_sklearn(model.best_estimator_)


def test_other_steps_are_refused_by_name() -> None:
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    for model, reason in (
        (make_pipeline(PCA(2), perceptron()), "PCA"),
        (make_pipeline(MinMaxScaler(clip=True), perceptron()), "MinMaxScaler that clips"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "LogisticRegression"),
        (make_pipeline(StandardScaler(), perceptron(activation="tanh")), "activation='tanh'"),
    ):
        with pytest.raises(InvalidNetworkError, match=reason):
            from_sklearn(fitted(model))
    with pytest.raises(InvalidNetworkError, match="not fitted"):
        from_sklearn(make_pipeline(StandardScaler(), perceptron()))
