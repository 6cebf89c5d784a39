"""Programs exported by `torch.export`: graphs of ATen operators that are affine between layers of ReLUs.

What the operators mean is left to `torch_operators`; constants computed from constants PyTorch computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError
from regions.network.loaders.affine_tensors import AffineTensor, Layering
from regions.network.loaders.checks import FloatArray
from regions.network.loaders.graph_ends import chosen_output, fixed_value, free_input
from regions.network.loaders.graph_steps import Bend, Step, maxima_first, needed_steps, run_steps
from regions.network.loaders.torch_operators import (
    TORCH_CURVED,
    TORCH_HEADS,
    TORCH_JUMPING,
    TORCH_LARGEST,
    TORCH_OPERATORS,
    TORCH_RISING,
    Call,
)
from regions.network.loaders.torch_tensors import source_dtype
from regions.network.relu_network import Network

__all__ = ["Program", "changes_in_place"]

WHAT = "the exported PyTorch program"

# may stand between the last nonlinear function and the output
PASSIVE = (
    "view",
    "reshape",
    "flatten",
    "squeeze",
    "unsqueeze",
    "clone",
    "contiguous",
    "detach",
    "alias",
    "dropout",
)


class Program:
    """An exported program, read as a network.

    Parameters
    ----------
    torch : the module
    program : torch.export.ExportedProgram
    output : name of the output to read: a key where the program returns a dictionary, else its number
    inputs : values of all inputs but one by their names

    Raises
    ------
    InvalidInputError : if there is no such output or input, or it is not said what the other inputs are
    InvalidNetworkError : if it has sizes that are not fixed behind the batch
    """

    def __init__(
        self,
        torch: Any,
        program: Any,
        output: str | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> None:
        self._torch, self._program = torch, program
        self._nodes = {node.name: node for node in program.graph.nodes}
        signature, fixed = program.graph_signature, dict(inputs or {})
        names = [str(name) for name in signature.user_inputs]
        self._input = free_input(WHAT, names, fixed)
        whole = self._shape_of(self._input)
        self.dtype = source_dtype(self._nodes[self._input].meta["val"], "the input")
        self._batch = whole[0]
        self.shape = (1, *whole[1:])
        self._fixed = {name: self._fixed_value(name, fixed[name]) for name in names if name in fixed}
        outputs = _names_of_outputs(torch, program)
        chosen, self._remark = chosen_output(WHAT, list(outputs), output)
        self._number = list(outputs).index(chosen)
        self._wanted, self.head = self._before_head(outputs[chosen])

    def network(self, name: str) -> Network:
        """Run the operators on affine tensors, and return the network of the output."""
        values: dict[str, Any] = dict(self._stored_tensors())
        layering = Layering(prod(self.shape), values)
        values[self._input] = layering.inputs(self.shape, self.dtype)
        steps = [self._step(node, layering) for node in self._nodes.values() if node.op == "call_function"]
        steps, moved = maxima_first([steps[k] for k in needed_steps(steps, [self._wanted])], self._wanted)
        used = {self._wanted, *(entry for step in steps for entry in step.inputs)}
        for unused in set(values) - used:
            del values[unused]
        output = run_steps(steps, values, layering, self._wanted)
        if not isinstance(output, AffineTensor):
            raise InvalidNetworkError(
                "the output of the exported PyTorch program does not depend on its input"
            )
        values.clear()
        remark = self._remark + (f" (before {self.head})" if self.head else "")
        remark += " (maxima taken before what rises)" if moved else ""
        return layering.network(output, f"{name}{remark}")

    def forward(self, x: FloatArray) -> NDArray[Any]:
        """The program's own values of the output, on flat inputs, in batches of the size it is made for."""
        batch = self._batch or len(x)
        outputs = []
        with self._torch.no_grad():
            for start in range(0, len(x), batch):
                rows = x[np.arange(start, start + batch) % len(x)]
                given = self._torch.as_tensor(rows, dtype=getattr(self._torch, self.dtype))
                y = self._run_program(given.reshape(batch, *self.shape[1:]))
                outputs.append(y.detach().cpu().numpy().reshape(batch, -1))
        return np.concatenate(outputs)[: len(x)]

    @cached_property
    def _module(self) -> Any:
        """The program as a callable, which takes PyTorch some 30 ms to make."""
        return self._program.module()

    def _run_program(self, given: Any) -> Any:
        names = [str(name) for name in self._program.graph_signature.user_inputs]
        arguments = [
            self._whole(self._fixed[name], len(given)) if name in self._fixed else given for name in names
        ]
        if not self.head:
            result = self._module(*self._as_called(arguments)[0], **self._as_called(arguments)[1])
            return self._torch.utils._pytree.tree_leaves(result)[self._number]
        stored, wanted = self._stored_tensors(), self._wanted
        seen: dict[str, Any] = {}

        class Watched(self._torch.fx.Interpreter):  # type: ignore[name-defined,misc]
            def run_node(self, node: Any) -> Any:
                result = super().run_node(node)
                if node.name == wanted:
                    seen["value"] = result
                return result

        places = [node.name for node in self._nodes.values() if node.op == "placeholder"]
        known = {**stored, **dict(zip(names, arguments, strict=True))}
        Watched(self._program.graph_module).run(*(known.get(place, given) for place in places))
        return seen["value"]

    def _as_called(self, arguments: list[Any]) -> tuple[Any, Any]:
        """Arguments in the places that the program has them in: some by their names, perhaps."""
        called: tuple[Any, Any] = self._torch.utils._pytree.tree_unflatten(
            arguments, self._program.call_spec.in_spec
        )
        return called

    def _whole(self, value: Any, batch: int) -> Any:
        """A value of one sample for all samples of a batch."""
        return value.expand(batch, *value.shape[1:]) if value.ndim and value.shape[0] == 1 else value

    def _fixed_value(self, name: str, value: Any) -> Any:
        """The value of an input as a tensor of one sample."""
        like = self._nodes[name].meta["val"]
        shape = tuple(size if isinstance(size, int) else 1 for size in like.shape)
        shape = (1, *shape[1:]) if shape and shape[0] == self._batch else shape
        dtype = str(like.dtype).removeprefix("torch.")
        return self._torch.as_tensor(fixed_value(name, value, shape, np.dtype(dtype)))

    def _step(self, node: Any, layering: Layering) -> Step:
        names = [given.name for given in node.all_input_nodes]
        kind = _operator_name(node)
        where = f"{kind} ({node.name})"
        call = Call(kind, where, {}, layering, self._batch)
        role = "maximum" if kind in TORCH_LARGEST else ""
        if kind in TORCH_RISING and not any(
            isinstance(x, float) and x < 0.0 for x in node.args[1:2] if "leaky" in kind
        ):
            role = "rising"
        return Step(where, names, [node.name], partial(self._run, node, call), role)

    def _run(self, node: Any, call: Call, values: list[Any]) -> Any:
        known = dict(zip((given.name for given in node.all_input_nodes), values, strict=True))
        positional = _resolved(node.args, known)
        named = _resolved(node.kwargs, known)
        if not _holds_tensor([positional, named]):
            with self._torch.no_grad():
                return [node.target(*positional, **named)]
        if call.kind not in TORCH_OPERATORS:
            reason = "is not piecewise linear" if call.kind in TORCH_CURVED else "is not supported"
            reason = "jumps, so it is not continuous" if call.kind in TORCH_JUMPING else reason
            raise InvalidNetworkError(
                f"operator {call.where} {reason}; supported are {', '.join(TORCH_OPERATORS)}"
            )
        schema = getattr(node.target, "_schema", None)
        keys = (
            [one.name for one in schema.arguments]
            if schema is not None
            else [str(k) for k in range(len(positional))]
        )
        arguments = {**dict(zip(keys, positional, strict=False)), **named}
        result = TORCH_OPERATORS[call.kind](call._replace(arguments=arguments))
        return result if isinstance(result, Bend) else [result]

    def _before_head(self, output: str) -> tuple[str, str]:
        """The value that the last nonlinear function takes, and its name, if it is a monotone one."""
        node = self._nodes[output]
        while node.op == "call_function" and node.args:
            kind = _operator_name(node)
            if kind in TORCH_HEADS:
                return str(node.args[0].name), kind.strip("_")
            scaled = kind in ("mul", "div", "add", "sub") and isinstance(node.args[1], int | float)
            scaled = scaled and (kind in ("add", "sub") or node.args[1] > 0)
            if not (scaled or kind in PASSIVE) or not hasattr(node.args[0], "name"):
                break
            node = node.args[0]
        return output, ""

    def _stored_tensors(self) -> dict[str, Any]:
        """Weights and constants by the name of the placeholder that stands for them."""
        signature = self._program.graph_signature
        names = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        stored = {**self._program.constants, **self._program.state_dict}
        found = {place: stored[name].detach() for place, name in names.items() if name in stored}
        return {**found, **self._fixed}

    def _shape_of(self, name: str) -> tuple[int, ...]:
        """Shape of the input; a batch of any size has size 0."""
        value = self._nodes[name].meta["val"]
        shape = tuple(size if isinstance(size, int) else 0 for size in value.shape)
        if len(shape) < 2 or 0 in shape[1:]:
            raise InvalidNetworkError(
                f"the exported PyTorch program takes an input of shape {tuple(value.shape)}; expected is a "
                f"batch axis and then fixed sizes"
            )
        return shape


def changes_in_place(program: Any) -> bool:
    """Tell whether an operator changes a value that something else sees too."""
    for node in program.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if node.op == "call_function" and getattr(schema, "is_mutable", False) and node.args:
            others = set(getattr(node.args[0], "users", ())) - {node}
            if others or not node.users:
                return True
    return False


def _names_of_outputs(torch: Any, program: Any) -> dict[str, str]:
    """The values that a program returns, by keys where it returns a dictionary, else by their numbers."""
    values = [str(value) for value in program.graph_signature.user_outputs]
    result = torch.utils._pytree.tree_unflatten(values, program.call_spec.out_spec)
    if isinstance(result, dict) and all(isinstance(value, str) for value in result.values()):
        return {str(key): value for key, value in result.items()}
    return {str(number): value for number, value in enumerate(values)}


def _operator_name(node: Any) -> str:
    schema = getattr(node.target, "_schema", None)
    if schema is not None:
        return str(schema.name).removeprefix("aten::")
    return str(getattr(node.target, "__name__", node.target))


def _resolved(given: Any, known: dict[str, Any]) -> Any:
    """Arguments with values in the places of nodes."""
    if isinstance(given, dict):
        return {key: _resolved(value, known) for key, value in given.items()}
    if isinstance(given, list | tuple):
        return [_resolved(value, known) for value in given]
    name = getattr(given, "name", None)
    return known[name] if name in known and hasattr(given, "all_input_nodes") else given


def _holds_tensor(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_tensor(part) for part in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_tensor(part) for part in value)
    return isinstance(value, AffineTensor)
