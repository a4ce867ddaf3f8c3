# Says whether a Python program has put something of its own in the place of the project's code. Read by the witness once
# something has failed. Python 3.8 and later.
import ast
import functools
import re
import sys
import types
import warnings

MAX_MODULES = 40
MAX_BYTES = 4000000
MOCKS = ("/unittest/mock.py", "/mock/mock.py")
MISSING = object()
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BUILTINS = (types.BuiltinFunctionType, types.BuiltinMethodType, functools.partial, types.MethodType)
# `mock.patch("pkg.name"`, `monkeypatch.setattr(pkg, "name"`.
PATCHES = (
    re.compile(r"""\b(?:patch|setattr)\(\s*["']([\w.]{3,200})\.(\w{1,100})["']"""),
    re.compile(r"""\b(?:object|setattr)\(\s*([A-Za-z_][\w.]{0,200})\s*,\s*["'](\w{1,100})["']"""),
)


class Source:
    """A file of the project as it stands there."""

    def __init__(self, path):
        with open(path, "rb") as file:
            text = file.read(MAX_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.tree = ast.parse(text, path)
            whole = compile(text, path, "exec", dont_inherit=True)
        self.codes = {}
        open_codes = [whole]
        for code in open_codes:
            self.codes.setdefault((code.co_name, code.co_firstlineno), []).append(code)
            open_codes.extend(inner for inner in code.co_consts if isinstance(inner, types.CodeType))
        self.names = bindings(self.tree.body)
        # What a module does to its own names is its own affair.
        self.is_dynamic = re.search(rb"globals\(|__dict__|\bsetattr\(|\bvars\(|import \*|__getattr__", text) is not None

    def has(self, code):
        return any(code == one for one in self.codes.get((code.co_name, code.co_firstlineno), ()))


def bindings(body):
    """What gives something to each name of a scope; None for one that a function may change."""
    found = {}
    open_nodes = list(body)
    for node in open_nodes:
        names = []
        if isinstance(node, FUNCTIONS + (ast.ClassDef,)):
            names = [node.name]
            for inner in ast.walk(node):
                if isinstance(inner, ast.Global):
                    for name in inner.names:
                        found.setdefault(name, []).append(None)
        elif isinstance(node, ast.Lambda):
            pass
        else:
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                names = [node.id]
            elif isinstance(node, ast.alias):
                names = [node.asname or node.name.split(".")[0]]
            elif isinstance(node, ast.ExceptHandler) and node.name:
                names = [node.name]
            open_nodes.extend(ast.iter_child_nodes(node))
        for name in names:
            found.setdefault(name, []).append(node)
    return found


class Check:
    def __init__(self, place_of, script):
        self.place_of = place_of
        self.script = script
        self.sources = {}

    def source(self, path):
        if path not in self.sources:
            try:
                self.sources[path] = Source(path)
            except Exception:
                self.sources[path] = None
        return self.sources[path]

    def is_strange(self, value, is_function):
        """Whether it is of nobody who could have meant it for the project."""
        if type(value).__module__ in ("unittest.mock", "mock.mock", "mock"):
            return True
        if isinstance(value, types.FunctionType):
            file = value.__code__.co_filename
            if is_function and self.place_of(file) is None:
                # A library may have put something around it.
                inner = getattr(value, "__wrapped__", None)
                return inner is None or self.is_strange(inner, True)
            return file == self.script or file.startswith("<") or file.endswith(MOCKS)
        if isinstance(value, type):
            return value.__module__ == "__main__"
        return is_function and isinstance(value, BUILTINS)

    def replaced(self, path, names, scope):
        """The first name of a scope whose value is not what the source has."""
        source = self.source(path)
        if source is None:
            return None
        for name, nodes in names.items():
            value = scope.get(name, MISSING)
            node = nodes[0]
            if len(nodes) != 1 or node is None or value is MISSING:
                continue
            if isinstance(node, FUNCTIONS) and not node.decorator_list:
                if self.is_strange(value, True):
                    return name
                if isinstance(value, types.FunctionType) and value.__code__.co_filename == path:
                    if not source.has(value.__code__):
                        return name
            elif isinstance(node, ast.ClassDef) and not node.decorator_list:
                if not isinstance(value, type) or value.__module__ == "__main__":
                    return name
                inner = self.replaced(path, bindings(node.body), vars(value))
                if inner is not None:
                    return "%s.%s" % (name, inner)
            elif isinstance(node, ast.alias) and self.is_strange(value, False):
                return name
        return None

    def of_module(self, path, scope, used):
        source = self.source(path)
        if source is None:
            return None
        name = self.replaced(path, source.names, scope)
        if name is None and not source.is_dynamic:
            for one in used:
                value = scope.get(one, MISSING)
                if one in source.names or value is MISSING or (one[:2] == "__" and one[-2:] == "__"):
                    continue
                if callable(value):
                    name = one
        return name

    def patched(self):
        """What the text of the reproducer patches, where the project itself has made it."""
        with open(self.script, encoding="utf-8", errors="replace") as file:
            text = file.read(MAX_BYTES)
        main = vars(sys.modules["__main__"])
        for number, pattern in enumerate(PATCHES):
            for owner, name in pattern.findall(text):
                found = module_of(owner) if number == 0 else value_of(main, owner)
                module = sys.modules.get(getattr(found, "__module__", None) or "") if isinstance(found, type) else found
                path = getattr(module, "__file__", None)
                if not isinstance(path, str) or self.place_of(path) is None:
                    continue
                source = self.source(path)
                names = source.names if source is not None else {}
                if isinstance(found, type):
                    node = (names.get(found.__name__) or [None])[0]
                    names = bindings(node.body) if isinstance(node, ast.ClassDef) else {}
                if any(isinstance(node, FUNCTIONS + (ast.ClassDef,)) for node in names.get(name, ())):
                    return "%s.%s" % (owner, name)
        return None


def module_of(dotted):
    """A module, or a class in one."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        found = sys.modules.get(".".join(parts[:end]))
        if found is not None:
            return value_of(vars(found), ".".join(parts[end:])) if end < len(parts) else found
    return None


def value_of(scope, dotted):
    first, *rest = dotted.split(".")
    found = scope.get(first)
    for name in rest:
        found = vars(found).get(name) if isinstance(found, (types.ModuleType, type)) else None
    return found


def meddling(traces, place_of, script):
    """A sentence; None: nothing is known. `traces` are those of one failure and its causes, innermost last."""
    check = Check(place_of, script)
    seen = {}
    for trace in traces:
        frames = []
        while trace is not None:
            frames.append(trace.tb_frame)
            trace = trace.tb_next
        if frames and frames[-1].f_code.co_filename.endswith(MOCKS):
            while frames and frames[-1].f_code.co_filename.endswith(MOCKS):
                frames.pop()
            if frames and place_of(frames[-1].f_code.co_filename) is not None:
                return "A stand-in of the reproducer has raised it"
        for one in frames:
            code = one.f_code
            path = code.co_filename
            # What was compiled to a library has no code that could be compared.
            is_library = str(one.f_globals.get("__file__", "")).endswith((".so", ".pyd"))
            if place_of(path) is None or not path.endswith(".py") or is_library:
                continue
            source = check.source(path)
            if source is None or not source.has(code):
                return 'What ran as "%s" of "%s" is not what stands there' % (code.co_name, place_of(path))
            seen.setdefault(path, (one.f_globals, set()))[1].update(code.co_names)
    modules = list(seen.items())
    if not modules:
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if isinstance(path, str) and path.endswith(".py") and place_of(path) is not None and path != script:
                modules.append((path, (vars(module), ())))
    for path, (scope, used) in modules[:MAX_MODULES]:
        name = check.of_module(path, scope, used)
        if name is not None:
            return 'The reproducer has replaced "%s" of "%s"' % (name, place_of(path))
    patched = check.patched()
    return None if patched is None else 'The reproducer has replaced "%s" of the project' % patched
