"""Kernels of the site's notebooks that import everything once: one process imports, each kernel is its fork.

`conf.py` calls `provide`. What Jupyter starts is this file with the name of a connection file: it asks that
process for a fork, which does the work, and ends with it.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_PLACE = "REGIONS_DOCS_KERNELS"
# pictures lay themselves out, so that nothing is beyond their edges; to look for it costs a third of each
_UNCROPPED = "--InlineBackend.print_figure_kwargs={'bbox_inches': None}"
_MODULES = """
    numpy scipy.linalg scipy.sparse scipy.optimize scipy.stats scipy.spatial networkx numba flint onnx
    torch torch.export torch._dynamo
    matplotlib.pyplot matplotlib.backends.backend_agg
    ipykernel.kernelapp ipykernel.ipkernel ipykernel.zmqshell IPython.core.pylabtools
    regions.enumeration regions.analysis.locus regions.analysis.verification regions.analysis.linear_regions
    regions.network.loaders regions.network.loaders.pytorch regions.estimators regions.density
    regions.exploration regions.plotting regions.validation regions.validation.tracking regions.runs
"""


def provide() -> Callable[[], None]:
    """Start the process that imports, let Jupyter find its kernels, and return what waits for it."""
    folder = Path(tempfile.mkdtemp(prefix="regions-docs-"))
    specification = folder / "kernels" / "python3"
    specification.mkdir(parents=True)
    command = [sys.executable, os.fspath(Path(__file__).resolve())]
    spec = {"argv": [*command, "-f", "{connection_file}"], "display_name": "Python 3", "language": "python"}
    (specification / "kernel.json").write_text(json.dumps(spec))
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("JUPYTER_PATH")]))
    os.environ[_PLACE] = str(folder / "socket")
    # the other end of the pipe closes when this process ends, however it does
    server = subprocess.Popen([*command, "--serve"], stdin=subprocess.PIPE)

    def wait() -> None:
        while not Path(os.environ[_PLACE]).exists():
            if server.poll() is not None:
                raise RuntimeError(f"the kernels of the notebooks ended with {server.returncode}")
            time.sleep(0.05)

    return wait


def serve() -> None:
    """Import, then fork for whoever asks, until the one that started this process is gone."""
    place = os.environ[_PLACE]
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    os.environ["JPY_PARENT_PID"] = str(os.getpid())  # whose end kernels watch for
    for name in _MODULES.split():
        with suppress(ImportError):
            importlib.import_module(name)
    draw_once()
    warm_up()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(f"{place}.new")
        door.listen()
        Path(f"{place}.new").rename(place)  # which is there only when somebody listens
        while True:
            ready = select.select([door, sys.stdin], [], [])[0]
            if sys.stdin in ready:
                shutil.rmtree(Path(place).parent, ignore_errors=True)
                return
            with door.accept()[0] as asked:
                if os.fork() == 0:
                    door.close()
                    become_kernel(asked)
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def draw_once() -> None:
    """Leave it to those who show figures to draw them: pyplot draws each at the end of its cell besides."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg.draw_idle = lambda canvas: None


def warm_up() -> None:
    """Load the code of the commonest search, in one thread: a process with more is not to be forked."""
    from regions import Box, Network, enumerate_cells

    absolute = Network.from_arrays([[[1.0, 0.0], [-1.0, 0.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    enumerate_cells(absolute, Box([-1.0, -1.0], [1.0, 1.0]), workers=1)


def become_kernel(asked: socket.socket) -> None:
    """Be the kernel that was asked for, in its folder, with its environment and its output."""
    message, streams, _, _ = socket.recv_fds(asked, 1 << 20, 3)
    wanted = json.loads(message)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"], MPLBACKEND="module://matplotlib_inline.backend_inline")
    sys.path[:] = [path for path in sys.path if path != os.fspath(Path(__file__).resolve().parent)]
    from ipykernel.kernelapp import launch_new_instance

    code = 0
    try:
        launch_new_instance(argv=[*wanted["arguments"], _UNCROPPED])
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 0
    except BaseException:
        code = 1
        raise
    finally:
        os._exit(code)


def ask(arguments: list[str]) -> None:
    """Ask for a kernel, and wait until it ends; Jupyter's interrupt before that is for nobody."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(os.environ[_PLACE])
        wanted = {"arguments": arguments, "folder": os.fspath(Path.cwd()), "environment": dict(os.environ)}
        socket.send_fds(door, [json.dumps(wanted).encode()], [0, 1, 2])
        door.recv(1)  # nothing comes, but the end


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["--serve"] else ask(sys.argv[1:])
