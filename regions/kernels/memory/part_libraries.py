"""How numba compiles kernels: without the passes that they do not need, and parts in their callers only.

numba optimises and emits every function on its own before it links it into its callers, where it is
optimised again. A part is never called from outside, so the first time is for nothing: some quarter of
all that a first count compiles. Passes that look for closures, `with` blocks, literals or expressions over
whole arrays would find none in a kernel, and take a tenth of the time. This module leans on how numba's
passes and code libraries work inside.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import LoweringPass, register_pass
from numba.core.typed_passes import (
    AnnotateTypes,
    DumpParforDiagnostics,
    InlineOverloads,
    IRLegalization,
    NopythonRewrites,
)
from numba.core.untyped_passes import (
    FindLiterallyCalls,
    InlineClosureLikes,
    InlineInlinables,
    LiteralPropagationSubPipelinePass,
    LiteralUnroll,
    MakeFunctionToJitFunction,
    RewriteDynamicRaises,
    WithLifting,
)

# what these look for is in no kernel that borrows its arrays
_NOT_NEEDED = {
    WithLifting,
    InlineClosureLikes,
    RewriteDynamicRaises,
    MakeFunctionToJitFunction,
    InlineInlinables,
    FindLiterallyCalls,
    LiteralUnroll,
    LiteralPropagationSubPipelinePass,
    InlineOverloads,
    NopythonRewrites,
    IRLegalization,
    DumpParforDiagnostics,
}


class _Codegen:
    """numba's code generator for one part, which has no address at which an environment could be set."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)

    def set_env(self, name: str, environment: Any) -> None:
        """Set nothing: only Python code inside a kernel would ask for it, and there is none."""


class PartLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Code that waits for a caller to be optimised and emitted with."""

    @property
    def codegen(self) -> Any:
        """The code generator, as numba asks for it once a function is compiled."""
        return _Codegen(self._codegen)

    def finalize(self) -> None:
        """Link what this part calls, and leave all else to the callers."""
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return no address: nothing was emitted."""
        return 0


@register_pass(mutates_CFG=False, analysis_only=False)
class _UsePartLibrary(LoweringPass):  # type: ignore[misc]
    _name = "regions_use_part_library"

    def __init__(self) -> None:
        LoweringPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        state.library = PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        return True


@cache
def compiler(borrowing: bool, part: bool) -> type[CompilerBase]:
    """Return numba's compiler with the passes that a kernel needs.

    Parameters
    ----------
    borrowing : whether it makes no arrays of its own
    part : whether it exists inside other kernels only, so that its code goes to a `PartLibrary`
    """

    class Compiler(CompilerBase):  # type: ignore[misc]
        def define_pipelines(self) -> list[Any]:
            passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
            if borrowing:
                passes.passes = [(one, name) for one, name in passes.passes if one not in _NOT_NEEDED]
            if part:
                passes.add_pass_after(_UsePartLibrary, AnnotateTypes)  # before the lowering
            passes.finalize()
            return [passes]

    return Compiler
