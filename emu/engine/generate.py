"""Kernels with a case for each instruction, made from templates with a case for each shape.

A template is a function with a chain of cases by the number of a micro-operation, `op`:

    @generated
    def computed(op, a, b):
        if op in RARE:                 # a case for each operation of the set
            return VALUE(a, b)         # its value function's expression, of these arguments
        return U0

`op == NAME` is one case, for the micro-operation of that name. Sets are COMPUTE, RARE (the COMPUTE
that are not in the hot loop), UPPER, LOAD, STORE, BRANCH, ATOMIC, CSR, FLOATING. In a case of a
set, these names stand for what the instruction at hand has:

* `VALUE(x, ...)`: the value function's expression; it takes as many arguments as the function has,
  of FLOATING those of the names that it has
* `SECOND`: `imm(ip)` or `rs2(registers, ip)`, its second operand
* `LOADED(place)`, `STORED(place, word)`: the load or store of its size; `TAG`: the mask for it

The text is written beside the compiled kernels, in the folder that is named after all sources: for
tracebacks, for Numba's cache and for readers (`make kernels`), and so that it is made only once.
"""

import ast
import inspect
import linecache
import os
import sys
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from emu.engine.operations import NUMBER, SAME_VALUE, Operation, all_operations
from emu.isa.kinds import Function, Shape
from specs.kernels.njit import cache_directory, njit

#: By name of a generated kernel: its template and order, and where its text is (a file, or a name
#: that only tracebacks know).
KERNELS: dict[str, "Generated"] = {}

# What stands for something in a template: names that linters know.
COMPUTE: Any
RARE: Any
UPPER: Any
LOAD: Any
STORE: Any
BRANCH: Any
ATOMIC: Any
CSR: Any
FLOATING: Any
VALUE: Any
SECOND: Any
LOADED: Any
STORED: Any
TAG: Any
COMPUTE = RARE = UPPER = LOAD = STORE = BRANCH = ATOMIC = CSR = FLOATING = None
VALUE = SECOND = LOADED = STORED = TAG = None


@dataclass(frozen=True, slots=True)
class Generated:
    """A generated kernel."""

    template: Function
    order: Sequence[str] | None
    once: bool
    file: str

    @property
    def text(self) -> str:
        """Its source, made again."""
        return text_of(self.template, self.order, self.once)


_SHAPES: dict[str, tuple[Shape, ...]] = {
    "COMPUTE": (Shape.COMPUTE,),
    "RARE": (Shape.COMPUTE,),
    "UPPER": (Shape.UPPER,),
    "LOAD": (Shape.LOAD,),
    "STORE": (Shape.STORE,),
    "BRANCH": (Shape.BRANCH,),
    "ATOMIC": (Shape.ATOMIC,),
    "CSR": (Shape.CSR, Shape.CSR_WRITE),
    "FLOATING": (Shape.FLOATING,),
}
_MEMORY = "specs.kernels.memory"


def members(name: str) -> list[Operation]:
    """The operations of a set."""
    return [
        operation
        for operation in all_operations().values()
        if operation.shape in _SHAPES[name] and (name != "RARE" or operation.is_rare)
    ]


@cache
def _functions(path: str) -> dict[str, ast.FunctionDef]:
    tree = ast.parse(Path(path).read_text(encoding="utf-8"), path)
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def _source(function: Function) -> ast.FunctionDef:
    return _functions(inspect.getfile(function))[function.__name__]


def expression(function: Function) -> tuple[list[str], ast.expr]:
    """Parameters of a value function, and what it returns. Raises ValueError where it does more."""
    node = _source(function)
    statement = node.body[-1]
    if len(node.body) != 1 or not isinstance(statement, ast.Return) or statement.value is None:
        raise ValueError(f"{inspect.getfile(function)}: {node.name} must be one return statement")
    return [argument.arg for argument in node.args.args], statement.value


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


class _Replace(ast.NodeTransformer):
    """Names by expressions."""

    def __init__(self, values: dict[str, ast.expr]) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return deepcopy(self._values[node.id]) if node.id in self._values else node


class _Fill(ast.NodeTransformer):
    """A case of a set as that of one operation."""

    def __init__(self, operation: Operation, imports: dict[str, str]) -> None:
        self._operation = operation
        self._imports = imports

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id == "SECOND":
            text = "imm(ip)" if self._operation.immediate else "rs2(registers, ip)"
            return ast.parse(text, mode="eval").body
        if node.id == "TAG":
            return ast.Name(f"_TAG{self._operation.size}", ast.Load())
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        bits = 8 * self._operation.size
        if name == "LOADED":
            return self._memory(f"load{bits}" + "u" * (bits < 64), node.args)
        if name == "STORED":
            return self._memory(f"store{bits}", node.args)
        if name == "VALUE":
            return self._value(node.args)
        return node

    def _memory(self, name: str, arguments: list[ast.expr]) -> ast.Call:
        self._imports[name] = _MEMORY
        return _call(name, *arguments)

    def _value(self, arguments: list[ast.expr]) -> ast.expr:
        function = self._operation.meaning.function
        if function is None:
            raise ValueError(f"{self._operation.name} has no value")
        parameters, body = expression(function)
        for node in ast.walk(body):
            if isinstance(node, ast.Name) and node.id not in parameters:
                self._imports[node.id] = function.__module__
        values = dict(zip(parameters, arguments, strict=False))
        if self._operation.shape is Shape.FLOATING:
            values = {each.id: each for each in arguments if isinstance(each, ast.Name)}
        value = _Replace(values).visit(deepcopy(body))
        return self._sign_extended(value)

    def _sign_extended(self, value: ast.expr) -> ast.expr:
        """A load that is extended is a load that extends."""
        bits = 8 * self._operation.size
        match value:
            case ast.Call(ast.Name(extend), [ast.Call(ast.Name(load), [place])]):
                if (extend, load) == (f"sext{bits}", f"load{bits}u"):
                    return self._memory(f"load{bits}s", [place])
        return value


class _Cases(ast.NodeTransformer):
    """The chain of cases by `op`, with a case for each operation, in `order` if that is given."""

    def __init__(self, order: Sequence[str] | None, once: bool, imports: dict[str, str]) -> None:
        self._order = order
        self._once = once
        self._imports = imports

    def visit_If(self, node: ast.If) -> Any:
        if self._of(node) is None:
            return self.generic_visit(node)
        cases: dict[str, list[ast.stmt]] = {}
        rest: list[ast.stmt] = [node]
        while len(rest) == 1 and isinstance(rest[0], ast.If) and self._of(rest[0]) is not None:
            case = rest[0]
            for name, operation in self._of(case) or ():
                if self._order is not None and name not in self._order:
                    continue
                body = deepcopy(case.body)
                if operation is not None:
                    body = [_Fill(operation, self._imports).visit(each) for each in body]
                cases[name] = body
            rest = case.orelse
        order = list(cases) if self._order is None else self._order
        if self._order is not None and any(name not in cases for name in order):
            raise ValueError(f"no case for {sorted(set(order) - set(cases))}")
        for name in reversed(order):
            test = ast.Compare(ast.Name("op", ast.Load()), [ast.Eq()], [ast.Name(name, ast.Load())])
            rest = [ast.If(test, cases[name], rest)]
        return rest

    def _of(self, node: ast.If) -> list[tuple[str, Operation | None]] | None:
        """Names and operations of a case; None if it is no case."""
        match node.test:
            case ast.Compare(ast.Name("op"), [ast.In()], [ast.Name(name)]) if name in _SHAPES:
                of_set = members(name)
                if self._once:
                    of_set = [o for o in of_set if SAME_VALUE[NUMBER[o.name]] == NUMBER[o.name]]
                return [(operation.name, operation) for operation in of_set]
            case ast.Compare(ast.Name("op"), [ast.Eq()], [ast.Name(name)]) if name in NUMBER:
                return [(name, None)]
        return None


def text_of(template: Function, order: Sequence[str] | None = None, once: bool = False) -> str:
    """The source of the kernel that `template` stands for, as in `generated`."""
    imports: dict[str, str] = {}
    function = deepcopy(_source(template))
    function.decorator_list = [ast.Name("njit", ast.Load())]
    function = _Cases(order, once, imports).visit(function)
    used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    for name in used - imports.keys() - NUMBER.keys():
        if name in template.__globals__:
            imports[name] = template.__module__
    imports["njit"] = njit.__module__
    modules: dict[str, list[str]] = {}
    for name in sorted(imports.keys() & (used | {"njit"})):
        modules.setdefault(imports[name], []).append(name)
    lines = [f'"""Made by {__name__} from {template.__module__} and emu/isa."""']
    lines += [f"from {module} import {', '.join(names)}" for module, names in modules.items()]
    lines += [f"{name} = {number}" for name, number in NUMBER.items() if name in used]
    body = ast.unparse(ast.fix_missing_locations(ast.Module([function], [])))
    return "\n".join([*lines, "", "", body, ""])


def _write(path: Path, text: str) -> bool:
    """Have `text` in the file, whole, whoever else does the same; False where that cannot be."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        # Numba's cache goes by the time of the file: the same whoever writes it.
        os.utime(draft, (1, 1))
        draft.replace(path)
    except OSError:
        return False
    return True


def _load(name: str, template: Function, order: Sequence[str] | None, once: bool) -> ModuleType:
    """The module `name`, made from `template` unless that has been done for these sources."""
    directory = cache_directory(name.partition(".")[0])
    path = None if directory is None else directory / f"{name}.py"
    made = path is not None and path.exists()
    text = "" if made else text_of(template, order, once)
    kept = path is not None and (made or _write(path, text))
    file = str(path) if kept else f"<{name}>"
    KERNELS[name] = Generated(template, order, once, file)
    if kept:
        spec = spec_from_file_location(name, file)
        assert spec is not None and spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(text, file, "exec"), module.__dict__)
    return module


def generated(
    template: Function | None = None, *, order: Sequence[str] | None = None, once: bool = False
) -> Any:
    """Decorator: the kernel that a template stands for. `order`: its cases, and in which order.
    `once`: it is called with `operations.SAME_VALUE` of an operation, and has a case for those.
    """

    def make(template: Function) -> Callable[..., Any]:
        name = f"{template.__module__}.{template.__name__}"
        kernel: Callable[..., Any] = getattr(_load(name, template, order, once), template.__name__)
        return kernel

    return make if template is None else make(template)
