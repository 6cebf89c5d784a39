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


def steps() -> dict[str, Any]:
    """Steps and pipelines that are affine, or clip, in front of a perceptron."""
    from sklearn import (
        compose,
        decomposition,
        discriminant_analysis,
        feature_selection,
        impute,
        pipeline,
        random_projection,
    )
    from sklearn import preprocessing as pre

    apart = compose.ColumnTransformer(
        [("scaled", pre.RobustScaler(), [2, 0]), ("kept", "passthrough", slice(1, 2)), ("none", "drop", [0])]
    )
    side_by_side = pipeline.FeatureUnion([("pca", decomposition.PCA(1)), ("all", "passthrough")])
    random = {"n_components": 2, "random_state": 0}
    return {
        "robust": pre.RobustScaler(),
        "spread only": pre.RobustScaler(with_centering=False),
        "clipped": pre.MinMaxScaler((-1.0, 2.0), clip=True),
        "pca": pipeline.make_pipeline(pre.StandardScaler(), decomposition.PCA(2)),
        "whitened": decomposition.PCA(2, whiten=True),
        "truncated": decomposition.TruncatedSVD(2),
        "independent": decomposition.FastICA(2, random_state=0),
        "random": random_projection.GaussianRandomProjection(**random),
        "sparse": random_projection.SparseRandomProjection(**random, density=0.9),
        "discriminants": discriminant_analysis.LinearDiscriminantAnalysis(),
        "chosen": feature_selection.SelectKBest(k=2),
        "imputed": impute.SimpleImputer(),
        "function": pre.FunctionTransformer(),
        "columns": apart,
        "columns in a pipeline": pipeline.make_pipeline(apart, pre.MaxAbsScaler()),
        "union": side_by_side,
    }


STEPS = [
    *("robust", "spread only", "clipped", "pca", "whitened", "truncated", "independent", "random", "sparse"),
    *("discriminants", "chosen", "imputed", "function", "columns", "columns in a pipeline", "union"),
]


@pytest.mark.sweep(6)
@pytest.mark.parametrize("name", STEPS)
def test_steps_without_a_curve_are_read(name: str) -> None:
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline

    assert list(steps()) == STEPS
    last = MLPRegressor(hidden_layer_sizes=(6,), solver="lbfgs", max_iter=30, random_state=0)
    model = fitted(make_pipeline(steps()[name], last))
    x = np.random.default_rng(1).normal([3.0, -2.0, 100.0], [8.0, 2.0, 50.0], (80, 3))
    found = from_sklearn(model).forward(x)[:, 0]
    assert np.ptp(found) > 0.0
    np.testing.assert_allclose(found, model.predict(x), rtol=1e-9, atol=1e-9 * np.abs(found).max())


def regressors() -> dict[str, Any]:
    """Regressors that are made of perceptrons."""
    from sklearn import compose, ensemble, multioutput, pipeline
    from sklearn.neural_network import MLPRegressor
    from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

    def one(seed: int) -> Any:
        return MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=30, random_state=seed)

    scaled = pipeline.make_pipeline(StandardScaler(), one(0))
    return {
        "standard target": compose.TransformedTargetRegressor(scaled, transformer=StandardScaler()),
        "clipped target": compose.TransformedTargetRegressor(one(1), transformer=MinMaxScaler((1.0, 3.0))),
        "robust target": compose.TransformedTargetRegressor(one(1), transformer=RobustScaler()),
        "plain target": compose.TransformedTargetRegressor(scaled),
        "mean": ensemble.VotingRegressor([("a", scaled), ("b", one(2))], weights=[1.0, 3.0]),
        "bagged": ensemble.BaggingRegressor(one(0), 3, max_features=2, random_state=0),
        "several": multioutput.MultiOutputRegressor(scaled),
    }


REGRESSORS = [
    *("standard target", "clipped target", "robust target", "plain target", "mean", "bagged", "several")
]


@pytest.mark.sweep(3)
@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_made_of_perceptrons_are_read(name: str) -> None:
    assert list(regressors()) == REGRESSORS
    x, y = data()
    target = np.stack([x[:, 0] - y, x[:, 1] * y], axis=1) if name == "several" else x[:, 0] - y
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = regressors()[name].fit(x, target)
    network = from_sklearn(model)
    np.testing.assert_allclose(network.forward(x), model.predict(x).reshape(80, -1), rtol=1e-9, atol=1e-9)


def test_what_bends_otherwise_is_refused_by_name() -> None:
    from sklearn import compose, pipeline, preprocessing
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPRegressor

    for step, reason in (
        (preprocessing.Normalizer(), "a Normalizer, which is not piecewise linear"),
        (preprocessing.PolynomialFeatures(), "PolynomialFeatures, which is not piecewise linear"),
        (preprocessing.KBinsDiscretizer(2), "KBinsDiscretizer, which jumps"),
        (preprocessing.QuantileTransformer(n_quantiles=5), "QuantileTransformer, which is not known"),
        (preprocessing.FunctionTransformer(np.sin), "function of its own"),
    ):
        with pytest.raises(InvalidNetworkError, match=reason):
            from_sklearn(fitted(pipeline.make_pipeline(step, perceptron())))
    scale = preprocessing.StandardScaler
    for model, reason in (
        (pipeline.make_pipeline(scale(), LogisticRegression()), "LogisticRegression"),
        (pipeline.make_pipeline(scale(), perceptron(activation="tanh")), "'tanh', which is not piecewise"),
        (
            compose.TransformedTargetRegressor(
                MLPRegressor(hidden_layer_sizes=(2,), max_iter=5),
                func=np.exp,
                inverse_func=np.log,
                check_inverse=False,
            ),
            "target is transformed by a FunctionTransformer",
        ),
    ):
        with pytest.raises(InvalidNetworkError, match=reason):
            from_sklearn(fitted(model))
    with pytest.raises(InvalidNetworkError, match="not fitted"):
        from_sklearn(pipeline.make_pipeline(scale(), perceptron()))
