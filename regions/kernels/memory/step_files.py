"""Machine code of steps in files: the next process loads it in milliseconds, without numba.

A step is a closed piece of machine code: it takes addresses and numbers, allocates nothing, and calls
other steps through the memory of its search. So are the kernels that Python calls (`entries`). So one file
holds all of it, and LLVM alone makes it callable. A file is named by a digest of all that its code depends
on, and begins with one of its content. Where a step is kept, files of the same kernel that nobody has used
for two months are removed.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from regions.kernels.memory.compiling import Kernel, kernels_digest, note_problem

# what the code of a step may ask of the C library; with any other name it is not kept
C_LIBRARY = frozenset(
    "memset memcpy memmove sqrt exp exp2 log log2 pow fabs floor ceil trunc rint fmod ldexp frexp fma".split()
)
# settings of numba that do not change the code
_HARMLESS = ("NUMBA_CACHE_DIR", "NUMBA_CACHE_LOCATOR_CLASSES", "NUMBA_NUM_THREADS")
_DAY = 86400.0  # seconds; a file's time of change says on which day it was last used
_UNUSED = 60.0 * _DAY  # after that a file of an earlier version of the package is removed
_NATIVE = {"int64": ctypes.c_int64, "float64": ctypes.c_double}

_lock = threading.Lock()


class NativeStep:
    """A step as Python calls it: with the numbers behind the search; the lock of Python is free meanwhile.

    Parameters
    ----------
    name : str, for error messages
    address : int, of the machine code
    table : int, address of the search's memory
    kinds : types of the arguments, "int64" or "float64"
    """

    def __init__(self, name: str, address: int, table: int, kinds: Sequence[str]) -> None:
        pointer = ctypes.c_void_p
        native = [_NATIVE[kind] for kind in kinds]
        # numba's convention: the result and the description of an error go to two addresses
        self._function = ctypes.CFUNCTYPE(ctypes.c_int32, pointer, pointer, pointer, *native)(address)
        self._name, self._result, error = name, ctypes.c_int64(), ctypes.c_void_p()
        # a search has one thread at a time, so its calls may share the place of the result
        self._before = (ctypes.byref(self._result), ctypes.byref(error), table)

    def __call__(self, *arguments: float) -> int:
        if self._function(*self._before, *arguments):  # only NUMBA_BOUNDSCHECK=1 makes kernels raise
            raise IndexError(f"step {self._name}: an index is out of bounds")
        return self._result.value


def machine_code(kernel: Kernel, wanted: str, signature: Callable[[], Any]) -> int:
    """Return the address of a kernel's machine code, from its file, or compiled now and kept.

    Parameters
    ----------
    kernel : the kernel
    wanted : what it is compiled for, as it names the file
    signature : gives what it is compiled for as numba takes it; called only if it must be compiled
    """
    where = (kernel.__module__, kernel.__name__, wanted)
    found = find_step(*where)
    if found is None:
        from regions.kernels.memory.layout_types import compile_for

        compiled, found = compile_for(kernel, signature())
        keep_step(*where, compiled)
    return found


def find_step(module: str, kernel: str, wanted: str) -> int | None:
    """Return the address of a kept step; None where it is not kept, or not as a whole.

    Parameters
    ----------
    module, kernel : names of the Python module and function
    wanted : what the step was compiled for (its layout and signature)
    """
    for folder in _folders():
        path = folder / _file_name(module, kernel, wanted)
        try:
            content = path.read_bytes()
        except OSError:
            continue
        header, _, code = content.partition(b"\n")
        try:
            described = json.loads(header)
            whole = described["sha256"] == sha256(code).hexdigest()
        except (ValueError, KeyError, TypeError):
            continue
        if whole:
            _note_use(path)
            return _load(code, described["symbol"])
    return None


def keep_step(module: str, kernel: str, wanted: str, compiled: Any) -> None:
    """Keep what numba compiled (its compile result) in the first folder that can be written."""
    library, symbol = compiled.library, compiled.fndesc.llvm_func_name
    foreign = sorted(set(_declared(library._final_module)) - C_LIBRARY)
    if foreign:
        note_problem(f"{kernel} needs {', '.join(foreign)}")
        return
    code = library._get_compiled_object()
    header = json.dumps({"symbol": symbol, "sha256": sha256(code).hexdigest()}).encode()
    problems = []
    for folder in _folders():
        try:
            _write(folder / _file_name(module, kernel, wanted), header + b"\n" + code)
        except OSError as error:
            problems.append(f"{type(error).__name__}: {error}")
            continue
        _remove_unused(folder, module, kernel)
        return
    note_problem(problems[0])


def _note_use(path: Path) -> None:
    """Set the time of a file to now, at most once a day; a folder that cannot be written stays as it is."""
    with suppress(OSError):
        if time.time() - path.stat().st_mtime > _DAY:
            os.utime(path)


def _remove_unused(folder: Path, module: str, kernel: str) -> None:
    """Remove the files of a kernel that no process has loaded for long; loaded code needs no file."""
    for path in folder.glob(f"{_prefix(module, kernel)}*.step"):
        with suppress(OSError):  # another process was first, or may do more than this one
            if time.time() - path.stat().st_mtime > _UNUSED:
                path.unlink()


def _write(path: Path, content: bytes) -> None:
    """Write a file that appears under its name as a whole: several processes may keep the same step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, beside = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    try:
        with os.fdopen(number, "wb") as stream:
            stream.write(content)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def _declared(module: Any) -> Iterable[str]:
    """List the functions and variables that a module of LLVM needs and does not hold."""
    for one in (*module.functions, *module.global_variables):
        if one.is_declaration and not one.name.startswith("llvm."):
            yield one.name


def _folders() -> list[Path]:
    """List the folders that may hold steps: the one that is named, or beside the kernels and the user's."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given:
        return [Path(given)]
    beside = Path(__file__).parents[1] / "__pycache__"
    home = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    try:
        return [beside, (Path(home) if home else Path.home() / ".cache") / "relu-regions"]
    except RuntimeError:  # nobody's home
        return [beside]


def _file_name(module: str, kernel: str, wanted: str) -> str:
    text = json.dumps([_machine(), module, kernel, wanted])
    return f"{_prefix(module, kernel)}{sha256(text.encode()).hexdigest()[:32]}.step"


def _prefix(module: str, kernel: str) -> str:
    """Return how the names of all files of a kernel begin, whatever it was compiled for."""
    return f"{module.rpartition('.')[2]}.{kernel}-"


@cache
def _machine() -> list[Any]:
    """What else the code of a step depends on: all kernels, the compilers, the processor, settings."""
    import llvmlite.binding as llvm

    settings = sorted(
        (name, value)
        for name, value in os.environ.items()
        if name.startswith("NUMBA_") and name not in _HARMLESS
    )
    return [
        kernels_digest(),
        version("numba"),
        version("llvmlite"),
        llvm.get_process_triple(),
        llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(),
        settings,
    ]


@cache
def _engine() -> Any:
    import llvmlite.binding as llvm

    with suppress(RuntimeError):  # needed by earlier versions, refused by later ones
        llvm.initialize()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(reloc="default", codemodel="jitdefault", jit=True)
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


def _load(code: bytes, symbol: str) -> int:
    from llvmlite.binding import ObjectFileRef

    with _lock:
        engine = _engine()
        engine.add_object_file(ObjectFileRef.from_data(code))
        engine.finalize_object()
        return int(engine.get_function_address(symbol))
