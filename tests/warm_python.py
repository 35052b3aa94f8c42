"""Runs Python in forks of a process that has loaded torch and the rest of what MACE imports.

A new Python needs nine seconds for that. In a fork neither MACE nor the plugin is imported, and mace_outlier.pth is run
as every Python does at its start; only tests of that start itself have to wait for a Python of their own.
"""

import atexit
import functools
import json
import os
import runpy
import signal
import subprocess
import sys
import sysconfig
import tempfile
import traceback
import types
from pathlib import Path

OURS = ("mace", "mace_outlier")
LONGEST = 900  # seconds


def run(*arguments, env=None, cwd=None):
    """As subprocess.run([sys.executable, *arguments]) of a file, "-c" or "-m", with output captured."""
    arguments = [str(part) for part in arguments]
    with tempfile.TemporaryDirectory() as folder:
        request = {
            "arguments": arguments, "env": {**os.environ, **(env or {})}, "cwd": str(cwd or Path.cwd()),
            "stdout": f"{folder}/stdout", "stderr": f"{folder}/stderr",
        }  # fmt: skip
        server = _server()
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        returncode = int(server.stdout.readline())
        out, err = (Path(request[name]).read_text() for name in ("stdout", "stderr"))
    return subprocess.CompletedProcess([sys.executable, *arguments], returncode, out, err)


@functools.cache
def _server():
    """The process that forks; it ends with this one, whose end closes its input."""
    quiet = {"MACE_OUTLIER_DISABLE": "1", "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}  # a fork needs a single thread
    command = [sys.executable, __file__]
    return subprocess.Popen(
        command, env={**os.environ, **quiet}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _serve():
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what is printed while MACE is imported is no answer
    import mace.cli.run_train  # noqa: F401

    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _end(_become, json.loads(line))
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")


def _end(program, options):
    """Run it, then end as Python does, but for taking down what is loaded, which takes three seconds."""
    code = 0
    try:
        program(**options)
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _become(arguments, env, cwd, stdout, stderr):
    """Be the Python that was asked for."""
    signal.alarm(LONGEST)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream, path in ((1, stdout), (2, stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), stream)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    kind, program, *rest = arguments if arguments[0] in ("-c", "-m") else ("", *arguments)
    own = {"-c": "", "-m": cwd, "": str(Path(program).parent)}[kind]
    first = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [own, *first, *sys.path[1:]]
    exec(Path(sysconfig.get_path("purelib"), "mace_outlier.pth").read_text())
    sys.argv = [kind or program, *rest]
    if kind == "-m":
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    elif kind == "":
        runpy.run_path(program, run_name="__main__")
    else:
        sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(program, "<string>", "exec"), vars(sys.modules["__main__"]))


if __name__ == "__main__":
    _serve()
