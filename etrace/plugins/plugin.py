"""Plugins: Python files that watch a run through its events (docs/plugins.md).

A plugin file has one class: made with the text behind the colon of `FILE.py:args`, attached to the
machine before it runs, asked for a report after it.
"""

import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from etrace.errors import EtraceError, Exit, InputError, one_line, os_error

#: Plugins that ship: `etrace.plugins.NAME`.
BUILT_IN = ("traps", "handler_time", "trace_all")

Write = Callable[[str], object]


class Plugin:
    """What a plugin may inherit; any class with these three methods will do."""

    #: Where a plugin writes as it goes: standard error, unless `etrace events` says otherwise.
    write: Write = staticmethod(lambda text: sys.stderr.write(text))

    def __init__(self, args: str = "") -> None:
        """`args`: what stood behind the colon, or nothing. A ValueError is the user's mistake."""
        self.args = args

    def attach(self, machine: Any) -> None:
        """Register hooks, before the run: `machine.on_discontinuity`, `machine.on_retire`."""

    def report(self) -> str | None:
        """What is to be printed after the run."""
        return None


class PluginError(EtraceError):
    """A plugin raised. `details`: its traceback, to be shown before the line of the error."""

    exit_code = Exit.USAGE

    def __init__(self, message: str, details: str) -> None:
        super().__init__(message)
        self.details = details


@dataclass(frozen=True)
class Loaded:
    """A plugin with the file that it came from; `file` is None for one that ships."""

    name: str
    file: str | None
    plugin: Any

    def attach(self, machine: Any) -> None:
        """Let it register its hooks; raises `PluginError`."""
        with blamed([self]):
            self.plugin.attach(machine)

    def report(self) -> str:
        """Its report, whole lines; raises `PluginError`."""
        with blamed([self]):
            text = self.plugin.report()
        return "" if text is None else _lines(str(text))


def load(argument: str) -> Loaded:
    """The plugin that `FILE.py[:args]` or `NAME[:args]` asks for; raises `EtraceError`."""
    path, args = _split(argument)
    name = Path(path).stem
    if path in BUILT_IN:
        built_in = import_module(f"etrace.plugins.{path}").Demonstrator
        try:
            return Loaded(path, None, built_in(args))
        except ValueError as error:
            raise InputError(f"plugin {path}: {error}") from None
    if not path.endswith(".py"):
        raise InputError(f"plugin {path}: neither a Python file nor one of {', '.join(BUILT_IN)}")
    made = Loaded(name, path, None)
    with blamed([made]):
        plugin = _class(_module(path, name), path)(args)
    return Loaded(name, path, plugin)


def _split(argument: str) -> tuple[str, str]:
    """File and args; a colon may be part of the path, the first one behind `.py` is not."""
    path, suffix, args = argument.partition(".py:")
    if suffix:
        return f"{path}.py", args
    if argument.endswith(".py"):
        return argument, ""
    path, _, args = argument.partition(":")
    return path, args


def _module(path: str, name: str) -> ModuleType:
    """The file, executed. (Not imported: nothing is looked for or cached beside it.)"""
    try:
        source = Path(path).read_bytes()
    except OSError as error:
        raise os_error(path, error) from None
    module = ModuleType(f"etrace_plugin_{name}")
    module.__file__ = path
    # Dataclasses and Numba look their module up.
    sys.modules[module.__name__] = module
    try:
        code = compile(source, path, "exec")
    except (SyntaxError, ValueError) as error:
        details = "".join(traceback.format_exception_only(error))
        raise PluginError(f"{path}: not a Python file: {type(error).__name__}", details) from None
    exec(code, module.__dict__)
    return module


def _class(module: ModuleType, path: str) -> Callable[[str], Any]:
    classes = [
        each
        for each in vars(module).values()
        if isinstance(each, type)
        and each.__module__ == module.__name__
        and not each.__name__.startswith("_")
        and hasattr(each, "attach")
    ]
    if len(classes) != 1:
        found = ", ".join(each.__name__ for each in classes) or "none"
        raise InputError(
            f"{path}: a plugin has one public class with attach(machine) and report(); "
            f"found: {found}"
        )
    made: Callable[[str], Any] = classes[0]
    return made


#: Who calls plugins: an error right there is about the plugin's method, not from within it.
_CALLERS = {"etrace.plugins.plugin", "etrace.analyses.events", "emu.ingress.hooks"}


@contextmanager
def blamed(plugins: Sequence[Loaded]) -> Iterator[None]:
    """Turn what one of `plugins` raises in the body into `PluginError`."""
    try:
        yield
    except (EtraceError, BrokenPipeError):
        raise
    except Exception as error:
        found = _guilty([each for each in plugins if each.file is not None], error)
        if found is None:
            raise
        name, frame = found
        details = "".join(traceback.format_exception(type(error), error, frame))
        what = one_line(Exception(f"{type(error).__name__}: {error}"))
        raise PluginError(f"{name}: the plugin raised {what}", details) from None


def _guilty(plugins: list[Loaded], error: Exception) -> tuple[str, TracebackType | None] | None:
    """The plugin that raised `error`, and its frames; None if it was none of them."""
    frame = last = error.__traceback__
    while frame is not None:
        for each in plugins:
            if frame.tb_frame.f_code.co_filename == each.file:
                return each.file, frame
        last, frame = frame, frame.tb_next
    if plugins and last is not None and last.tb_frame.f_globals.get("__name__") in _CALLERS:
        return ", ".join(str(each.file) for each in plugins), None
    return None


def _lines(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
