"""Restricted Python to LLVM assembly: one function at a time, for `loops`.

Every variable is an ``alloca`` and every expression a register; LLVM makes the rest of it.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

import numpy as np

from wengert.loopc.signature import (
    ARRAYS,
    REGISTERS,
    ArrayKind,
    Function,
    Signature,
    find_global,
    last_name,
)

__all__ = ["PRELUDE", "translate"]

PRELUDE = """\
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
"""
"""What a module of translated functions begins with."""
_ARITHMETIC = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul"}
_BITS = {ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor", ast.LShift: "shl"}
_BITS[ast.RShift] = "ashr"
_COMPARE = {
    ast.Eq: ("eq", "oeq"),
    ast.NotEq: ("ne", "une"),
    ast.Lt: ("slt", "olt"),
    ast.LtE: ("sle", "ole"),
    ast.Gt: ("sgt", "ogt"),
    ast.GtE: ("sge", "oge"),
}


def translate(function: Function) -> tuple[str, list[Any]]:
    """Return a function as LLVM assembly, and the functions that it calls.

    Raises
    ------
    TypeError
        If it uses what is outside the subset; the message names the file and line.
    """
    definition, before, file = function.tree()
    return _Translator(function, before, file).run(definition)


class _Term(NamedTuple):
    """An expression's register (or constant), and its kind."""

    text: str
    kind: str


@dataclass
class _Translator:
    """Writes one function."""

    function: Function
    before: int
    file: str
    lines: list[str] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)  # of variables
    calls: dict[str, Any] = field(default_factory=dict)
    loops: list[tuple[str, str]] = field(default_factory=list)  # labels: next turn, after
    count: int = 0
    ended: bool = False  # nothing after this point can run

    def run(self, definition: ast.FunctionDef) -> tuple[str, list[Any]]:
        signature = self.function.signature
        head = []
        arrays = {name: kind for name, kind in signature.parameters if kind in ARRAYS}
        self.kinds.update(arrays)
        for name, kind in signature.parameters:
            if kind in ARRAYS:
                head.append(f"ptr %{name}, i64 %{name}.len")
                continue
            # A flag comes as a whole word: C's own type has rules about the bits above.
            head.append(f"{'i64' if kind == 'bool' else REGISTERS[kind]} %{name}.in")
            given = f"%{name}.in"
            if kind == "bool":
                given = self.emit(f"icmp ne i64 {given}, 0")
            self.kinds[name] = kind
            self.line(f"store {REGISTERS[kind]} {given}, ptr %{name}.var")
        self.block(definition.body)
        if not self.ended:
            if signature.result != "None":
                self.fail(definition, "must end in a return statement")
            self.line("ret void")
        else:
            self.line("unreachable")  # in a block that nothing reaches
        zero = {"int": "0", "bool": "false", "float": "0.0"}
        entry = []
        for name, kind in self.kinds.items():
            if kind not in ARRAYS:
                register = REGISTERS[kind]
                entry.append(f"%{name}.var = alloca {register}")
                if name not in dict(signature.parameters):
                    entry.append(f"store {register} {zero[kind]}, ptr %{name}.var")
        body = "\n".join(f"  {line}" for line in [*entry, *self.lines])
        opening = f"define {self.result(signature)} {self.named(self.function)}({', '.join(head)})"
        return f"{opening} nounwind {{\n{body}\n}}", list(self.calls.values())

    @staticmethod
    def named(function: Any) -> str:
        return f'@"{function.symbol}"'

    @staticmethod
    def result(signature: Signature) -> str:
        return {"None": "void", "float": "double"}.get(signature.result, "i64")

    # Text

    def error(self, node: ast.AST, why: str) -> TypeError:
        line = getattr(node, "lineno", 1) + self.before
        return TypeError(
            f"{self.function.plain.__name__} cannot be compiled: {why}\n"
            f"  at {self.file}:{line}: {ast.unparse(node).splitlines()[0]}"
        )

    def fail(self, node: ast.AST, why: str) -> NoReturn:
        raise self.error(node, why)

    def fresh(self, prefix: str = "t") -> str:
        self.count += 1
        return f"{prefix}.{self.count}"

    def line(self, text: str) -> None:
        self.lines.append(text)

    def emit(self, text: str) -> str:
        name = f"%{self.fresh()}"
        self.line(f"{name} = {text}")
        return name

    def label(self, name: str) -> None:
        self.line(f"br label %{name}")
        self.line(f"{name}:")

    def jump(self, name: str) -> None:
        """Leave for a label; what follows in the text is a block that nothing reaches."""
        self.line(f"br label %{name}")
        self.line(f"{self.fresh('dead')}:")
        self.ended = True

    def branch(self, condition: str, yes: str, no: str) -> None:
        self.line(f"br i1 {condition}, label %{yes}, label %{no}")

    # Statements

    def block(self, body: list[ast.stmt]) -> None:
        self.ended = False
        for statement in body:
            if self.ended:
                self.fail(statement, "is never reached")
            method = getattr(self, f"stmt_{type(statement).__name__}", None)
            if method is None:
                self.fail(statement, f"{type(statement).__name__} is not supported")
            method(statement)

    def stmt_Pass(self, node: ast.Pass) -> None:
        pass

    def stmt_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self.call(node.value)
        elif not (isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)):
            self.fail(node, "an expression without effect")

    def stmt_Return(self, node: ast.Return) -> None:
        expected = self.function.signature.result
        if node.value is None:
            if expected != "None":
                self.fail(node, f"must return {expected}")
            self.line("ret void")
        else:
            value = self.expr(node.value)
            if value.kind != expected:
                self.fail(node, f"returns {value.kind}, annotated {expected}")
            if value.kind == "bool":
                value = _Term(self.emit(f"zext i1 {value.text} to i64"), "int")
            self.line(f"ret {REGISTERS[value.kind]} {value.text}")
        self.line(f"{self.fresh('dead')}:")
        self.ended = True

    def stmt_Assign(self, node: ast.Assign) -> None:
        if len(node.targets) != 1:
            self.fail(node, "one target at a time")
        self.store(node.targets[0], self.expr(node.value))

    def stmt_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is None:
            self.fail(node, "needs a value")
        value = self.expr(node.value)
        if last_name(ast.unparse(node.annotation)) != value.kind:
            self.fail(node, f"the value is {value.kind}")
        self.store(node.target, value)

    def stmt_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            old = self.expr(ast.copy_location(ast.Name(node.target.id, ast.Load()), node))
            self.store(node.target, self.binary(node, node.op, old, self.expr(node.value)))
        elif isinstance(node.target, ast.Subscript):
            pointer, array = self.element(node.target)
            old = self.load(pointer, array)
            new = self.binary(node, node.op, old, self.expr(node.value))
            self.put(node, pointer, array, new)
        else:
            self.fail(node, "assigns to neither a variable nor an element")

    def stmt_If(self, node: ast.If) -> None:
        condition = self.condition(node.test)
        yes, no, after = self.fresh("then"), self.fresh("else"), self.fresh("endif")
        self.branch(condition, yes, no)
        self.line(f"{yes}:")
        self.block(node.body)
        first = self.ended
        self.line(f"br label %{after}")
        self.line(f"{no}:")
        self.block(node.orelse)
        second = self.ended
        self.label(after)
        self.ended = first and second

    def stmt_While(self, node: ast.While) -> None:
        if node.orelse:
            self.fail(node, "while with else is not supported")
        test, body, after = self.fresh("while"), self.fresh("do"), self.fresh("done")
        self.label(test)
        self.branch(self.condition(node.test), body, after)
        self.line(f"{body}:")
        self.loops.append((test, after))
        self.block(node.body)
        self.loops.pop()
        self.line(f"br label %{test}")
        self.line(f"{after}:")
        self.ended = False

    def stmt_For(self, node: ast.For) -> None:
        call = node.iter
        if not (isinstance(node.target, ast.Name) and _is_call(call, "range") and not node.orelse):
            self.fail(node, "only `for name in range(...)` is supported")
        assert isinstance(call, ast.Call)
        bounds = [self.expr(given) for given in call.args]
        if not 1 <= len(bounds) <= 3 or any(bound.kind != "int" for bound in bounds):
            self.fail(node, "range takes one to three integers")
        step = int(bounds[2].text) if len(bounds) == 3 and _is_number(bounds[2].text) else 1
        if step == 0 or (len(bounds) == 3 and not _is_number(bounds[2].text)):
            self.fail(node, "the step must be a constant other than 0")
        first, last = (bounds[0].text, bounds[1].text) if len(bounds) > 1 else ("0", bounds[0].text)
        test, body, turn, after = (self.fresh(name) for name in ("for", "do", "turn", "done"))
        counter = self.fresh("counter")
        self.kinds[counter] = "int"  # its own: the body may assign to the loop's variable
        self.line(f"store i64 {first}, ptr %{counter}.var")
        self.label(test)
        now = self.emit(f"load i64, ptr %{counter}.var")
        more = self.emit(f"icmp {'slt' if step > 0 else 'sgt'} i64 {now}, {last}")
        self.branch(more, body, after)
        self.line(f"{body}:")
        self.store(node.target, _Term(now, "int"))
        self.loops.append((turn, after))
        self.block(node.body)
        self.loops.pop()
        self.label(turn)
        following = self.emit(f"add nsw i64 {now}, {step}")
        self.line(f"store i64 {following}, ptr %{counter}.var")
        self.line(f"br label %{test}")
        self.line(f"{after}:")
        self.ended = False

    def stmt_Break(self, node: ast.Break) -> None:
        self.jump(self.loops[-1][1])

    def stmt_Continue(self, node: ast.Continue) -> None:
        self.jump(self.loops[-1][0])

    # Variables and elements

    def store(self, target: ast.expr, value: _Term) -> None:
        if isinstance(target, ast.Subscript):
            pointer, array = self.element(target)
            self.put(target, pointer, array, value)
            return
        if not isinstance(target, ast.Name):
            self.fail(target, "assigns to neither a variable nor an element")
        known = self.kinds.setdefault(target.id, value.kind)
        if known != value.kind:
            self.fail(target, f"{target.id} is {known} and cannot become {value.kind}")
        self.line(f"store {REGISTERS[value.kind]} {value.text}, ptr %{target.id}.var")

    def element(self, node: ast.Subscript) -> tuple[str, ArrayKind]:
        """Return the address of an element, and its array's kind."""
        if not (isinstance(node.value, ast.Name) and self.kinds.get(node.value.id) in ARRAYS):
            self.fail(node, "only parameters that are arrays have elements")
        array = ARRAYS[self.kinds[node.value.id]]
        index = self.expr(node.slice)
        if index.kind != "int":
            self.fail(node, f"an index is an integer, not {index.kind}")
        pointer = f"ptr %{node.value.id}"
        return self.emit(f"getelementptr {array.memory}, {pointer}, i64 {index.text}"), array

    def load(self, pointer: str, array: ArrayKind) -> _Term:
        value = self.emit(f"load {array.memory}, ptr {pointer}")
        if array.memory == "i32":
            value = self.emit(f"sext i32 {value} to i64")
        elif array.memory == "i8":
            value = self.emit(f"icmp ne i8 {value}, 0")
        return _Term(value, array.element)

    def put(self, node: ast.AST, pointer: str, array: ArrayKind, value: _Term) -> None:
        if value.kind != array.element:
            self.fail(node, f"the array holds {array.element}, not {value.kind}")
        text = value.text
        if array.memory == "i32":
            text = self.emit(f"trunc i64 {text} to i32")
        elif array.memory == "i8":
            text = self.emit(f"zext i1 {text} to i8")
        self.line(f"store {array.memory} {text}, ptr {pointer}")

    # Expressions

    def condition(self, node: ast.expr) -> str:
        value = self.expr(node)
        if value.kind != "bool":
            self.fail(node, f"a condition is a comparison or a bool, not {value.kind}")
        return value.text

    def expr(self, node: ast.expr) -> _Term:
        method = getattr(self, f"expr_{type(node).__name__}", None)
        if method is None:
            self.fail(node, f"{type(node).__name__} is not supported")
        term: _Term = method(node)
        return term

    def constant(self, node: ast.AST, value: Any) -> _Term:
        if isinstance(value, bool):
            return _Term("true" if value else "false", "bool")
        if isinstance(value, int) and -(2**63) <= value < 2**63:
            return _Term(str(value), "int")
        if isinstance(value, float) and np.isfinite(value):
            return _Term(f"0x{np.float64(value).view(np.uint64):016X}", "float")
        raise self.error(node, f"{value!r} is not a constant of 64 bits")

    def expr_Constant(self, node: ast.Constant) -> _Term:
        return self.constant(node, node.value)

    def expr_Name(self, node: ast.Name) -> _Term:
        kind = self.kinds.get(node.id)
        if kind is None:
            value = find_global(self.function.plain, node)
            if value is None:
                self.fail(node, f"{node.id} is unknown here")
            return self.constant(node, value)
        if kind in ARRAYS:
            self.fail(node, "an array can only be indexed or handed on")
        return _Term(self.emit(f"load {REGISTERS[kind]}, ptr %{node.id}.var"), kind)

    def expr_Subscript(self, node: ast.Subscript) -> _Term:
        return self.load(*self.element(node))

    def expr_UnaryOp(self, node: ast.UnaryOp) -> _Term:
        value = self.expr(node.operand)
        if isinstance(node.op, ast.Not):
            return _Term(self.emit(f"xor i1 {self.condition(node.operand)}, true"), "bool")
        if isinstance(node.op, ast.USub) and value.kind == "float":
            return _Term(self.emit(f"fneg double {value.text}"), "float")
        if isinstance(node.op, ast.USub) and value.kind == "int":
            if _is_number(value.text):
                return _Term(str(-int(value.text)), "int")
            return _Term(self.emit(f"sub i64 0, {value.text}"), "int")
        if isinstance(node.op, ast.Invert) and value.kind == "int":
            return _Term(self.emit(f"xor i64 {value.text}, -1"), "int")
        raise self.error(node, f"not supported for {value.kind}")

    def expr_BinOp(self, node: ast.BinOp) -> _Term:
        return self.binary(node, node.op, self.expr(node.left), self.expr(node.right))

    def binary(self, node: ast.AST, op: ast.operator, left: _Term, right: _Term) -> _Term:
        kind = left.kind
        if kind != right.kind:
            self.fail(node, f"{kind} with {right.kind}: convert one with float(...) or int(...)")
        sort = type(op)
        operands = f"{REGISTERS[kind]} {left.text}, {right.text}"
        if kind == "float" and (sort in _ARITHMETIC or sort is ast.Div):
            return _Term(self.emit(f"f{_ARITHMETIC.get(sort, 'div')} {operands}"), kind)
        if kind == "int" and sort in _ARITHMETIC | _BITS:
            return _Term(self.emit(f"{(_ARITHMETIC | _BITS)[sort]} {operands}"), kind)
        if kind == "bool" and sort in (ast.BitAnd, ast.BitOr, ast.BitXor):
            return _Term(self.emit(f"{_BITS[sort]} {operands}"), kind)
        if kind == "int" and sort in (ast.FloorDiv, ast.Mod):
            return self.floored(sort, left.text, right.text)
        raise self.error(node, f"{sort.__name__} is not supported for {kind}")

    def floored(self, sort: type[ast.operator], left: str, right: str) -> _Term:
        """Divide as Python does, which rounds down where hardware rounds towards zero."""
        quotient = self.emit(f"sdiv i64 {left}, {right}")
        rest = self.emit(f"srem i64 {left}, {right}")
        signs = self.emit(f"xor i64 {rest}, {right}")
        opposite = self.emit(f"icmp slt i64 {signs}, 0")
        inexact = self.emit(f"icmp ne i64 {rest}, 0")
        down = self.emit(f"and i1 {opposite}, {inexact}")
        if sort is ast.FloorDiv:
            one = self.emit(f"zext i1 {down} to i64")
            return _Term(self.emit(f"sub i64 {quotient}, {one}"), "int")
        extra = self.emit(f"select i1 {down}, i64 {right}, i64 0")
        return _Term(self.emit(f"add i64 {rest}, {extra}"), "int")

    def expr_Compare(self, node: ast.Compare) -> _Term:
        if len(node.ops) != 1 or type(node.ops[0]) not in _COMPARE:
            self.fail(node, "one comparison of numbers at a time")
        left, right = self.expr(node.left), self.expr(node.comparators[0])
        if left.kind != right.kind:
            self.fail(node, f"compares {left.kind} with {right.kind}")
        signed, ordered = _COMPARE[type(node.ops[0])]
        if left.kind == "bool" and signed not in ("eq", "ne"):
            self.fail(node, "flags have no order")
        how = f"fcmp {ordered}" if left.kind == "float" else f"icmp {signed}"
        operands = f"{REGISTERS[left.kind]} {left.text}, {right.text}"
        return _Term(self.emit(f"{how} {operands}"), "bool")

    def expr_BoolOp(self, node: ast.BoolOp) -> _Term:
        after, slot = self.fresh("known"), self.fresh("both")
        self.kinds[slot] = "bool"
        for value in node.values[:-1]:
            self.line(f"store i1 {self.condition(value)}, ptr %{slot}.var")
            known = self.emit(f"load i1, ptr %{slot}.var")
            further = self.fresh("further")
            labels = (further, after) if isinstance(node.op, ast.And) else (after, further)
            self.branch(known, *labels)
            self.line(f"{further}:")
        self.line(f"store i1 {self.condition(node.values[-1])}, ptr %{slot}.var")
        self.label(after)
        return _Term(self.emit(f"load i1, ptr %{slot}.var"), "bool")

    def expr_IfExp(self, node: ast.IfExp) -> _Term:
        yes, no, after = self.fresh("then"), self.fresh("else"), self.fresh("endif")
        slot = self.fresh("chosen")
        self.branch(self.condition(node.test), yes, no)
        kinds = []
        for label, value in ((yes, node.body), (no, node.orelse)):
            self.line(f"{label}:")
            term = self.expr(value)
            kinds.append(term.kind)
            self.line(f"store {REGISTERS[term.kind]} {term.text}, ptr %{slot}.var")
            self.line(f"br label %{after}")
        self.line(f"{after}:")
        if kinds[0] != kinds[1]:
            self.fail(node, f"is {kinds[0]} or {kinds[1]}")
        self.kinds[slot] = kinds[0]
        return _Term(self.emit(f"load {REGISTERS[kinds[0]]}, ptr %{slot}.var"), kinds[0])

    def expr_Call(self, node: ast.Call) -> _Term:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        builtin = getattr(self, f"call_{name}", None)
        term: _Term | None = self.call(node) if builtin is None else builtin(node)
        if term is None:
            self.fail(node, "returns nothing")
        return term

    def call_len(self, node: ast.Call) -> _Term:
        (array,) = node.args
        if not (isinstance(array, ast.Name) and self.kinds.get(array.id) in ARRAYS):
            self.fail(node, "len takes a parameter that is an array")
        return _Term(f"%{array.id}.len", "int")

    def extreme(self, node: ast.Call, intrinsic: str) -> _Term:
        terms = [self.expr(given) for given in node.args]
        if len(terms) != 2 or any(term.kind != "int" for term in terms):
            self.fail(node, "takes two integers")
        operands = f"i64 {terms[0].text}, i64 {terms[1].text}"
        return _Term(self.emit(f"call i64 @llvm.{intrinsic}.i64({operands})"), "int")

    def call_min(self, node: ast.Call) -> _Term:
        return self.extreme(node, "smin")

    def call_max(self, node: ast.Call) -> _Term:
        return self.extreme(node, "smax")

    def call_int(self, node: ast.Call) -> _Term:
        (given,) = (self.expr(value) for value in node.args)
        change = {"bool": "zext i1", "float": "fptosi double"}.get(given.kind)
        return given if change is None else _Term(self.emit(f"{change} {given.text} to i64"), "int")

    def call_float(self, node: ast.Call) -> _Term:
        (given,) = (self.expr(value) for value in node.args)
        change = {"bool": "uitofp i1", "int": "sitofp i64"}.get(given.kind)
        if change is None:
            return given
        return _Term(self.emit(f"{change} {given.text} to double"), "float")

    def call(self, node: ast.Call) -> _Term | None:
        """Call another function of this kind."""
        target = find_global(self.function.plain, node.func)
        if not (hasattr(target, "signature") and hasattr(target, "tree")) or node.keywords:
            self.fail(node, "calls what is not a compiled function (or by keyword)")
        signature: Signature = target.signature
        if len(node.args) != len(signature.parameters):
            self.fail(node, f"takes {len(signature.parameters)} arguments")
        given = []
        for (name, kind), value in zip(signature.parameters, node.args, strict=True):
            if kind in ARRAYS:
                if not (isinstance(value, ast.Name) and self.kinds.get(value.id) == kind):
                    self.fail(node, f"{name} must be a parameter of kind {kind}")
                given.append(f"ptr %{value.id}, i64 %{value.id}.len")
                continue
            term = self.expr(value)
            if term.kind != kind:
                self.fail(node, f"{name} is {kind}, {term.kind} given")
            if kind == "bool":
                term = _Term(self.emit(f"zext i1 {term.text} to i64"), "int")
            given.append(f"{REGISTERS[term.kind]} {term.text}")
        self.calls[target.symbol] = target
        text = f"call {self.result(signature)} {self.named(target)}({', '.join(given)})"
        if signature.result == "None":
            self.line(text)
            return None
        if signature.result == "bool":
            return _Term(self.emit(f"icmp ne i64 {self.emit(text)}, 0"), "bool")
        return _Term(self.emit(text), signature.result)


def _is_call(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _is_number(text: str) -> bool:
    return text.lstrip("-").isdigit()
