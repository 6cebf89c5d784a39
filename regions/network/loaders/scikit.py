"""scikit-learn's multilayer perceptrons with ReLU activation: alone, in pipelines, searches and ensembles.

What the steps of a pipeline do is left to `scikit_steps`.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError
from regions.network.loaders import bends, moves
from regions.network.loaders.affine_operators import matrix_product
from regions.network.loaders.affine_tensors import AffineTensor, Layering
from regions.network.loaders.checks import FloatArray, check_against_source, optional_import
from regions.network.loaders.graph_steps import Bend, Step, run_steps
from regions.network.loaders.scikit_steps import JOINED, STEPS, back, parts_of, refused, transformed
from regions.network.relu_network import Network

__all__ = ["ENSEMBLES", "from_sklearn"]

# regressors whose answer is the mean of those of several, or their answers side by side
ENSEMBLES = ("VotingRegressor", "BaggingRegressor", "MultiOutputRegressor")


def from_sklearn(model: Any, *, name: str = "") -> Network:
    """Network of a fitted `MLPClassifier` or `MLPRegressor` with `activation="relu"`, alone or in a pipeline.

    A pipeline may scale the inputs, project them (PCA and others without a curve), choose among them and put
    parts side by side (ColumnTransformer, FeatureUnion): these become layers of their own, where a division
    multiplies by the float64 nearest to 1 / scale. A regressor may scale its target too, and several
    regressors may be averaged. Of a search, such as GridSearchCV, the best estimator is read. The outputs are
    the logits: the values before a classifier's softmax or logistic function, which are not piecewise affine.
    For two classes there is one logit, of `classes_[1]`.

    Parameters
    ----------
    model : fitted MLPClassifier or MLPRegressor, a Pipeline that ends in one, a search over them, a
        TransformedTargetRegressor, VotingRegressor, BaggingRegressor or MultiOutputRegressor of them
    name : str, for reports; default the class name

    Returns
    -------
    network : Network

    Raises
    ------
    InvalidNetworkError : if the model is of another kind, not fitted, has another activation, or does
        not compute what its weights say
    InvalidInputError : if scikit-learn is not installed

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neural_network import MLPRegressor
    >>> x = np.linspace(-1.0, 1.0, 20)[:, None]
    >>> model = MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", tol=1.0, random_state=0)
    >>> network = from_sklearn(model.fit(x, abs(x[:, 0])))
    >>> bool(np.allclose(network.forward(x)[:, 0], model.predict(x)))
    True
    """
    optional_import("sklearn.neural_network", "sklearn", "reading a scikit-learn model")
    reader = _Reader(model)
    perceptrons = reader.perceptrons
    kind = "model" if len(perceptrons) > 1 else type(perceptrons[0]).__name__
    dtype = "float64" if any(p.coefs_[0].dtype == np.float64 for p in perceptrons) else "float32"

    def forward(x: FloatArray) -> NDArray[Any]:
        with warnings.catch_warnings():
            # fitted on a table, they warn about missing column names
            warnings.simplefilter("ignore", UserWarning)
            return _values(model, _as_fitted(model, x.astype(dtype)))

    network = reader.network(name or type(model).__name__)
    return check_against_source(network, forward, f"the {kind}", dtype)


class _Reader:
    """A model as steps on affine tensors."""

    def __init__(self, model: Any) -> None:
        self.perceptrons: list[Any] = []
        self._steps: list[Step] = []
        self._values: dict[str, Any] = {}
        self._layering = Layering(0, self._values)
        self._wanted = self._read(model, "input")
        self._width = _width(model)

    def network(self, name: str) -> Network:
        """Run the steps, and return the network of the output."""
        layering = self._layering
        layering.input_dim = layering.width = self._width
        self._values["input"] = layering.inputs((1, self._width), "float64")
        found = run_steps(self._steps, self._values, layering, self._wanted)
        assert isinstance(found, AffineTensor)
        self._values.clear()
        return layering.network(found, name)

    def _then(self, where: str, inputs: Sequence[str], run: Callable[[list[Any]], Any]) -> str:
        """Append a step, and return the name of what it makes."""

        def one(values: list[Any]) -> Any:
            result = run(values)
            return result if isinstance(result, Bend) else [result]

        made = f"value {len(self._steps)}"
        self._steps.append(Step(where, list(inputs), [made], one))
        return made

    def _read(self, model: Any, given: str) -> str:
        """Append the steps of a model on a value, and return the name of its output."""
        model = _best(model)
        kind = type(model).__name__
        if _is_pipeline(model):
            for step in _steps_of(model)[:-1]:
                given = self._transform(step, given)
            return self._read(_steps_of(model)[-1], given)
        if kind == "TransformedTargetRegressor":
            _check_fitted(model, "regressor_")
            found = self._read(model.regressor_, given)
            return self._then(
                kind, [found], lambda values: back(self._layering, model.transformer_, values[0])
            )
        if kind in ENSEMBLES:
            return self._ensemble(model, given)
        return self._perceptron(model, given)

    def _transform(self, step: Any, given: str) -> str:
        """Append what a step of a pipeline does, and return the name of what it gives."""
        step = _best(step)
        if _is_pipeline(step):
            for part in _steps_of(step):
                given = self._transform(part, given)
            return given
        kind = type(step).__name__
        if kind in JOINED:
            found = []
            for part, columns in parts_of(step):
                own = given
                if columns is not None:
                    own = self._then(kind, [given], partial(_columns, columns))
                found.append(own if part is None else self._transform(part, own))
            return self._then(kind, found, lambda values: moves.concatenated(self._layering, values, 1))
        if kind not in STEPS and not hasattr(step, "get_support"):
            raise InvalidNetworkError(refused(kind))
        return self._then(kind, [given], lambda values: transformed(self._layering, step, values[0]))

    def _ensemble(self, model: Any, given: str) -> str:
        """Append several regressors, and their mean, or their answers side by side."""
        kind = type(model).__name__
        _check_fitted(model, "estimators_")
        found = []
        for number, part in enumerate(model.estimators_):
            own = given
            if kind == "BaggingRegressor":
                columns = np.asarray(model.estimators_features_[number])
                own = self._then(kind, [given], partial(_columns, columns))
            found.append(self._read(part, own))
        joined = self._then(kind, found, lambda values: moves.concatenated(self._layering, values, 1))
        if kind == "MultiOutputRegressor":
            return joined
        n = len(found)
        given_weights = getattr(model, "weights", None)
        weights = np.ones(n) if given_weights is None else np.asarray(given_weights, np.float64)

        def mean(values: list[Any]) -> AffineTensor:
            outputs = values[0].shape[1] // n
            shares = np.kron((weights / weights.sum())[:, None], np.eye(outputs))
            return matrix_product(self._layering, values[0], shares)

        return self._then(kind, [joined], mean)

    def _perceptron(self, model: Any, given: str) -> str:
        """Append the layers of a perceptron."""
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        kind = type(model).__name__
        if not isinstance(model, MLPClassifier | MLPRegressor):
            raise InvalidNetworkError(
                f"cannot read a {type(model).__module__}.{kind}; supported are scikit-learn's MLPClassifier "
                f"and MLPRegressor, pipelines that scale their inputs, searches over them, "
                f"TransformedTargetRegressor, {', '.join(ENSEMBLES)}"
            )
        if model.activation != "relu":
            reason = "" if model.activation == "identity" else ", which is not piecewise linear"
            raise InvalidNetworkError(
                f"the {kind} has activation={model.activation!r}{reason}; supported is activation='relu'"
            )
        _check_fitted(model, "coefs_")
        self.perceptrons.append(model)
        layering, last = self._layering, len(model.coefs_) - 1
        for layer, (weight, bias) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
            W, b = np.asarray(weight, np.float64), np.asarray(bias, np.float64)
            given = self._then(
                kind,
                [given],
                partial(_dense, layering, W, b),
            )
            if layer < last:
                given = self._then(kind, [given], lambda values: bends.bent(layering, values[0]))
        return given


def _columns(chosen: NDArray[np.int64], values: list[Any]) -> AffineTensor:
    x: AffineTensor = values[0]
    return x.moved(x.index[:, chosen])


def _dense(layering: Layering, weight: FloatArray, bias: FloatArray, values: list[Any]) -> AffineTensor:
    return layering.shifted(matrix_product(layering, values[0], weight), bias)


def _best(model: Any) -> Any:
    """The model itself, or the best one of a search."""
    while hasattr(model, "best_estimator_"):
        model = model.best_estimator_
    return model


def _is_pipeline(model: Any) -> bool:
    return hasattr(model, "steps") and hasattr(model, "named_steps")


def _steps_of(pipeline: Any) -> list[Any]:
    """The steps that do something."""
    steps = [step for _, step in pipeline.steps if step is not None and not isinstance(step, str)]
    if not steps:
        raise InvalidNetworkError("the pipeline has no step")
    return steps


def _check_fitted(model: Any, attribute: str) -> None:
    if not hasattr(model, attribute):
        raise InvalidNetworkError(f"the {type(model).__name__} is not fitted; call its fit(X, y) first")


def _width(model: Any) -> int:
    """Number of inputs of a fitted model."""
    model = _best(model)
    candidates = [model, *(_steps_of(model) if _is_pipeline(model) else ())]
    for part in (_best(candidate) for candidate in candidates):
        if hasattr(part, "n_features_in_"):
            return int(part.n_features_in_)
    raise InvalidNetworkError(f"the {type(model).__name__} does not say how many inputs it takes")


def _as_fitted(model: Any, x: NDArray[Any]) -> Any:
    """Inputs as a table with the names of the columns that a model was fitted on, where it had any."""
    model = _best(model)
    parts = [model, *(_steps_of(model)[:1] if _is_pipeline(model) else ())]
    names = next((part.feature_names_in_ for part in parts if hasattr(part, "feature_names_in_")), None)
    if names is None:
        return x
    pandas = optional_import("pandas", "tables", "comparing a model that was fitted on a table")
    return pandas.DataFrame(x, columns=list(names))


def _values(model: Any, x: Any) -> NDArray[Any]:
    """A model's own forward pass, of classifiers the logits; (n, outputs)."""
    model = _best(model)
    kind = type(model).__name__
    if _is_pipeline(model):
        *steps, last = _steps_of(model)
        for step in steps:
            x = step.transform(x)
        return _values(last, x)
    if kind == "TransformedTargetRegressor":
        # predictions of one target have one axis, and go through as a column
        found = _values(model.regressor_, x)
        return np.asarray(model.transformer_.inverse_transform(found)).reshape(len(found), -1)
    if kind in ENSEMBLES:
        return np.asarray(model.predict(x)).reshape(len(x), -1)
    return _logits(model, x)


def _logits(model: Any, x: Any) -> NDArray[Any]:
    """The model's own forward pass with its last nonlinearity switched off in a shallow copy."""
    bare = copy.copy(model)
    bare.out_activation_ = "identity"
    if hasattr(bare, "predict_proba"):
        # one logit comes back as the two columns 1 - z and z
        columns = np.asarray(bare.predict_proba(x))
        return columns[:, 1:] if model.n_outputs_ == 1 else columns
    return np.asarray(bare.predict(x)).reshape(x.shape[0], -1)
