"""scikit-learn's multilayer perceptrons with ReLU activation."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError
from regions.network.loaders.checks import check_against_source, optional_import
from regions.network.relu_network import Network

__all__ = ["from_sklearn"]


def from_sklearn(model: Any, *, name: str = "") -> Network:
    """Network of a fitted `MLPClassifier` or `MLPRegressor` with `activation="relu"`.

    The outputs are the logits: the values before a classifier's softmax or logistic function, which
    are not piecewise affine. For two classes there is one logit, of `classes_[1]`.

    Parameters
    ----------
    model : fitted MLPClassifier or MLPRegressor
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
    neural = optional_import("sklearn.neural_network", "sklearn", "reading a scikit-learn model")
    kind = type(model).__name__
    if not isinstance(model, neural.MLPClassifier | neural.MLPRegressor):
        raise InvalidNetworkError(
            f"cannot read a {type(model).__module__}.{kind}; supported are scikit-learn's MLPClassifier and "
            f"MLPRegressor (of a pipeline, give the last step and transform its inputs yourself)"
        )
    if model.activation != "relu":
        raise InvalidNetworkError(
            f"the {kind} has activation={model.activation!r}; supported is activation='relu'"
        )
    if not hasattr(model, "coefs_"):
        raise InvalidNetworkError(f"the {kind} is not fitted; call its fit(X, y) first")
    weights = [np.asarray(coefficients).T for coefficients in model.coefs_]
    network = Network.from_arrays(weights, model.intercepts_, name=name or kind)
    dtype = "float64" if weights[0].dtype == np.float64 else "float32"
    return check_against_source(network, lambda x: _logits(model, x, dtype), f"the {kind}", dtype)


def _logits(model: Any, x: NDArray[np.float64], dtype: str) -> NDArray[Any]:
    """The model's own forward pass with its last nonlinearity switched off in a shallow copy."""
    bare = copy.copy(model)
    bare.out_activation_ = "identity"
    with warnings.catch_warnings():
        # fitted on a table, it warns about missing column names
        warnings.simplefilter("ignore", UserWarning)
        if hasattr(bare, "predict_proba"):
            # one logit comes back as the two columns 1 - z and z
            columns = np.asarray(bare.predict_proba(x.astype(dtype)))
            return columns[:, 1:] if model.n_outputs_ == 1 else columns
        predicted = np.asarray(bare.predict(x.astype(dtype)))
    return predicted.reshape(len(x), -1)
