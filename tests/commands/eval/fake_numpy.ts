/** A small project called numpy that is built in a moment, and has the bug of `numpy-convolve`. */
import { join } from "node:path";
import { git } from "../../support/fake_agents.ts";
import type { Sandbox } from "../../support/gocore.ts";

const HEAD = `from functools import wraps
from . import multiarray
from .multiarray import array

def array_function_dispatch(dispatcher):
    return lambda function: function

def _convolve_dispatcher(a, v, mode=None):
    return (a, v)

def correlate(a, v, mode="valid"):
    return multiarray.correlate(a, v, mode)

@array_function_dispatch(_convolve_dispatcher)
def convolve(a, v, mode: "str" = "full"):
    """Returns the discrete, linear convolution of two one-dimensional sequences."""
    a, v = array(a, copy=None, ndmin=1), array(v, copy=None, ndmin=1)
`;
const SWAP = `    if (len(v) > len(a)):
        a, v = v, a
`;
const CHECKS = `    if len(a) == 0:
        raise ValueError('a cannot be empty')
    if len(v) == 0:
        raise ValueError('v cannot be empty')
`;
const END = `    return multiarray.correlate(a, v[::-1], mode)
`;

export const BUGGY = HEAD + SWAP + CHECKS + END;
export const FIXED = HEAD + CHECKS + SWAP + END;

const MULTIARRAY = `class ndarray(list):
    def __getitem__(self, key):
        found = list.__getitem__(self, key)
        return ndarray(found) if isinstance(key, slice) else found
    def tolist(self):
        return list(self)

def array(values, copy=True, ndmin=0):
    return ndarray(values)

def correlate(a, v, mode):
    sums = [0] * (len(a) + len(v) - 1)
    for i, one in enumerate(a):
        for k, other in enumerate(v):
            sums[i - k + len(v) - 1] += one * other
    return ndarray(sums)
`;

/** A build backend that lies in the tree and needs nothing from anywhere. */
const BACKEND = `import os, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    if os.path.exists("broken"):
        raise SystemExit(open("broken").read())
    name = "numpy-9.9.9-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        for place, _, files in os.walk("numpy"):
            for file in files:
                if file.endswith(".py"):
                    wheel.write(os.path.join(place, file))
        info = "numpy-9.9.9.dist-info/"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: numpy\\nVersion: 9.9.9\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: own\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return name
`;

export interface FakeNumpy {
  readonly path: string;
  readonly bug: string;
  readonly fix: string;
  /** Commits other content of `numeric.py` (and other files) on top; returns the commit. */
  commit(numeric: string, files?: Readonly<Record<string, string>>): Promise<string>;
}

export async function makeFakeNumpy(sandbox: Sandbox): Promise<FakeNumpy> {
  const path = await sandbox.repository("numpy");
  const commit = async (numeric: string, files: Readonly<Record<string, string>> = {}) => {
    for (const [name, text] of Object.entries({ ...files, "numpy/_core/numeric.py": numeric })) {
      await sandbox.file(join("numpy", name), text);
    }
    await git(path, "add", "-A");
    await git(path, "commit", "--quiet", "--allow-empty", "-m", "Change");
    return await git(path, "rev-parse", "HEAD");
  };
  const bug = await commit(BUGGY, {
    "numpy/__init__.py": 'from ._core.numeric import array, convolve, correlate\n__version__ = "9.9.9"\n',
    "numpy/_core/__init__.py": "",
    "numpy/_core/multiarray.py": MULTIARRAY,
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n' +
      '[project]\nname = "numpy"\nversion = "9.9.9"\n',
    "backend.py": BACKEND,
  });
  return { path, bug, fix: await commit(FIXED), commit };
}
