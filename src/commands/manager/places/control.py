# Has the project's functions of some names tell what they give, and gives another value back in the place of one of them.
# Read by the witness in a control run. Python 3.8 and later.
import array
import functools
import inspect
import json
import math
import numbers
import sys
import threading
import types

MAX_TOLD = 100
CONSTANTS = {"true": True, "false": False, "null": None, "undefined": None}
SEQUENCES = (list, tuple, set, frozenset, array.array)


class NoValue(Exception):
    pass


def value_of(literal):
    kind, inner = next(iter(literal.items()))
    if kind == "number":
        return float(inner) if any(char in inner for char in ".eE") else int(inner)
    if kind == "text":
        return inner
    if kind == "constant":
        return CONSTANTS[inner] if inner in CONSTANTS else float(inner)
    if kind == "list":
        return [value_of(one) for one in inner]
    if kind == "tuple":
        return tuple(value_of(one) for one in inner)
    if kind == "pairs":
        return {value_of(key): value_of(value) for key, value in inner}
    raise NoValue


def kind_of(value):
    if value is None:
        return "none"
    if isinstance(value, bool) or type(value).__name__ == "bool_":
        return "bool"
    if isinstance(value, numbers.Number):
        return "number"
    if isinstance(value, (str, bytes, bytearray)):
        return "text"
    if isinstance(value, dict):
        return "map"
    if isinstance(value, SEQUENCES) or hasattr(value, "__iter__"):
        return "list"
    return "other"


def shaped(value, like):
    """The value as something of the kind of `like`."""
    kind = type(like)
    if kind in (type(value), int, float, bool) or like is None:
        return value
    if isinstance(like, (bytes, bytearray)):
        return kind(value.encode())
    if isinstance(like, array.array):
        return array.array(like.typecode, value)
    if kind.__module__ == "numpy" and isinstance(value, (list, tuple)):
        return sys.modules["numpy"].array(value)
    if isinstance(like, types.GeneratorType) or hasattr(like, "__next__"):
        return iter(value)
    try:
        # Decimals are exact when they are made of a text.
        return kind(str(value) if isinstance(value, float) else value)
    except Exception:
        return value


def is_same(a, b):
    try:
        if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
            return True
        same = a == b
        return bool(same.all()) if hasattr(same, "all") else bool(same)
    except Exception:
        return False


def is_near(a, b):
    """Issues round what they state."""
    try:
        return is_same(a, b) or (
            isinstance(a, numbers.Real) and isinstance(b, numbers.Real) and math.isclose(a, b, rel_tol=1e-6)
        )
    except Exception:
        return False


def install(text, place_of, tell):
    order = json.loads(text)
    names = set(order["functions"])
    replace = order["replace"]
    values = []
    for literal in order["values"]:
        try:
            values.append((value_of(literal),))
        except Exception:
            values.append(None)
    calls = {}
    for call in order["calls"]:
        try:
            calls.setdefault(call["name"], []).append([value_of(one) for one in call["arguments"]])
        except Exception:
            pass
    state = threading.local()
    count = [0]

    def look(name, result, arguments):
        """What comes back in the place of the result, in a tuple; None: the result itself."""
        count[0] += 1
        number = count[0]
        equals, fits, stated = [], [], {}
        kinds = {kind_of(value[0]) for value in values if value is not None}
        own = kind_of(result)
        for index, value in enumerate(values):
            if value is None:
                fits.append(index)
                continue
            kind = kind_of(value[0])
            if kind != own and not (own in kinds and "none" in (own, kind)):
                continue
            stated[index] = shaped(value[0], result)
            if is_near(stated[index], result):
                equals.append(index)
            if not is_same(stated[index], result):
                fits.append(index)
        is_stated = None
        if name in calls:
            is_stated = any(
                len(one) == len(arguments) and all(is_near(a, b) for a, b in zip(one, arguments)) for one in calls[name]
            )
        if number <= MAX_TOLD:
            told = {"name": name, "equals": equals, "fits": fits, "isStated": is_stated}
            tell(json.dumps({"call": told}))
        if replace is None or replace["call"] not in ("all", number):
            return None
        wanted = replace["value"]
        if "raises" in wanted:
            raise error_of(wanted["raises"])
        index = order["values"].index(wanted)
        return (stated[index],) if index in fits else None

    def error_of(name):
        import builtins

        for module in [builtins] + list(sys.modules.values()):
            if module is builtins or place_of(getattr(module, "__file__", None) or "") is not None:
                found = getattr(module, name, None)
                if isinstance(found, type) and issubclass(found, Exception):
                    return found()
        return Exception(name)

    def seen(name, skipped, function, arguments, named):
        if getattr(state, "depth", 0) > 0:
            return function(*arguments, **named)
        state.depth = 1
        try:
            result = function(*arguments, **named)
        finally:
            state.depth = 0
        other = look(name, result, list(arguments[skipped:]) + list(named.values()))
        return result if other is None else other[0]

    def wrapped(name, function, skipped):
        if getattr(function, "__gocore__", False):
            return function
        tell(json.dumps({"function": name}))
        if inspect.iscoroutinefunction(function):

            async def around(*arguments, **named):
                result = await function(*arguments, **named)
                other = look(name, result, list(arguments[skipped:]) + list(named.values()))
                return result if other is None else other[0]

        else:

            def around(*arguments, **named):
                return seen(name, skipped, function, arguments, named)

        try:
            functools.update_wrapper(around, function)
        except Exception:
            pass
        around.__gocore__ = True
        return around

    def patch_class(kind):
        for name, value in list(vars(kind).items()):
            if name not in names:
                continue
            new = value
            if isinstance(value, types.FunctionType):
                new = wrapped(name, value, 1)
            elif isinstance(value, staticmethod):
                new = staticmethod(wrapped(name, value.__func__, 0))
            elif isinstance(value, classmethod):
                new = classmethod(wrapped(name, value.__func__, 1))
            elif isinstance(value, property) and value.fget is not None:
                new = property(wrapped(name, value.fget, 1), value.fset, value.fdel, value.__doc__)
            if new is not value:
                setattr(kind, name, new)

    def patch(module):
        path = getattr(module, "__file__", None)
        if not isinstance(path, str) or place_of(path) is None:
            return
        root = module.__name__.split(".")[0]
        for name, value in list(vars(module).items()):
            if isinstance(value, type):
                if value.__module__ == module.__name__:
                    patch_class(value)
                continue
            called = getattr(value, "__name__", name)
            if not callable(value) or not (name in names or called in names):
                continue
            if str(getattr(value, "__module__", None)).split(".")[0] == root:
                new = wrapped(name if name in names else called, value, 0)
                if new is not value:
                    setattr(module, name, new)

    loader = sys.modules["_frozen_importlib_external"].SourceFileLoader
    before = loader.exec_module

    def exec_module(self, module):
        before(self, module)
        try:
            patch(module)
        except Exception:
            pass

    loader.exec_module = exec_module
