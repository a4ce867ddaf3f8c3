"""Says what numpy.convolve answers when one of its arguments is empty, as one line of JSON.

python -I convolve_oracle.py        the numpy that is installed
python -I convolve_oracle.py FILE   `convolve` of this source alone, with stand-ins for what it needs of numpy
"""

import ast
import json
import os
import platform
import sys


class Array:
    """As much of a one-dimensional array as `convolve` looks at."""

    ndim = 1

    def __init__(self, values):
        self.values = list(values)

    def __len__(self):
        return len(self.values)

    def __getitem__(self, key):
        found = self.values[key]
        return Array(found) if isinstance(key, slice) else found

    @property
    def size(self):
        return len(self.values)

    @property
    def shape(self):
        return (len(self.values),)

    def tolist(self):
        return self.values


def array(values, *_, **__):
    return values if isinstance(values, Array) else Array(values)


class multiarray:
    @staticmethod
    def correlate(a, v, mode="full"):
        """Full correlation, which is all that is asked for here."""
        if len(a) == 0 or len(v) == 0:
            raise ValueError("multiarray.correlate was given an empty array")
        pairs = [(i - k + len(v) - 1, a[i] * v[k]) for i in range(len(a)) for k in range(len(v))]
        return Array([sum(value for at, value in pairs if at == n) for n in range(len(a) + len(v) - 1)])


def from_source(path):
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "convolve"]
    if not found:
        raise LookupError("the file has no function `convolve`")
    function = found[-1]
    # They name what only the whole of numpy has, and decide nothing here.
    function.decorator_list = []
    function.returns = None
    for argument in ast.walk(function.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    names = {"array": array, "asarray": array, "asanyarray": array, "multiarray": multiarray}
    exec(compile(ast.Module(body=[function], type_ignores=[]), path, "exec"), names)
    return names["convolve"], array


def installed():
    import numpy

    return numpy.convolve, numpy.array, numpy.__version__, os.path.dirname(numpy.__file__)


def ask(convolve, a, v):
    try:
        result = convolve(a, v)
    except Exception as error:
        return {"type": type(error).__name__, "message": str(error), "result": None}
    return {"type": None, "message": None, "result": [float(one) for one in result.tolist()]}


def main(paths):
    # What is printed on the way is no answer.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    report = {"python": platform.python_version(), "numpy": None, "numpy_path": None, "problem": None}
    try:
        if paths:
            convolve, make = from_source(paths[0])
        else:
            convolve, make, report["numpy"], report["numpy_path"] = installed()
        report["first"] = ask(convolve, make([]), make([1, 2]))
        report["second"] = ask(convolve, make([1, 2]), make([]))
        report["control"] = ask(convolve, make([1, 2]), make([3, 4, 5]))
    except BaseException as error:
        report["problem"] = f"{type(error).__name__}: {error}"
    answer.write(json.dumps(report) + "\n")
    answer.flush()


main(sys.argv[1:])
