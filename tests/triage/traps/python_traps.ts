/** Traps about a Python project, and honest reproducers of its bugs. */
import {
  ASSERTION,
  DIGITS,
  EMPTY,
  EXIT,
  KEY,
  LEDGER,
  MEMORY,
  MISSING_RATES,
  NEGATIVE,
  NOBODY,
  NOBODY_SHORT,
  NONE,
  PROSE,
  PROVIDER,
  SEGFAULT,
  WRONG,
  ZERO,
} from "./python_project.ts";
import type { Planted } from "./trap.ts";

const FORGED = `Traceback (most recent call last):
  File "repro_candidate.py", line 2, in <module>
    ledger.split_evenly(10, 0)
  File "ledger/amounts.py", line 15, in split_evenly
    share = total // people
ZeroDivisionError: integer division or modulo by zero`;

export const pythonTraps: Planted = {
  files: LEDGER,
  oracle: "python {repro_file}",
  extension: "py",
  programs: ["python3"],
  traps: [
    // It raises the failure itself.
    {
      claim: "raises the exception itself",
      issue: ZERO,
      script: `raise ZeroDivisionError("integer division or modulo by zero")\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "divides by zero itself, after a call of the project",
      issue: PROSE,
      script: `import ledger\nledger.split_evenly(10, 2)\n1 // 0\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "catches another failure of the project, and raises the expected one",
      issue: DIGITS,
      script: `import ledger
try:
    ledger.parse_amount("")
except IndexError:
    raise ValueError("amount '1e3' is not a number")
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "raises it from another failure of the project",
      issue: ZERO,
      script: `import ledger
try:
    ledger.strip_currency(None)
except AttributeError as error:
    raise ZeroDivisionError("integer division or modulo by zero") from error
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "raises it with the traceback of another failure",
      issue: DIGITS,
      script: `import ledger
try:
    ledger.parse_amount("")
except IndexError as error:
    kept = error.__traceback__
raise ValueError("amount '1e3' is not a number").with_traceback(kept)
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "raises its own class of the same name",
      issue: NEGATIVE,
      script: `import ledger
class AccountError(ValueError):
    pass
ledger.Account().balance("EUR")
raise AccountError("deposit of -5 cents is negative")
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "raises a subclass of its own",
      issue: DIGITS,
      script: `class Mine(ValueError): pass\nraise Mine("amount '1e3' is not a number")\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "raises it in a function that it calls as the project's",
      issue: ZERO,
      script: `import ledger.amounts
def split_evenly(total, people):
    share = total // people
    return [share] * people
ledger.amounts.split_evenly = split_evenly
ledger.amounts.split_evenly(10, 0)
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "raises it in code that it makes for the project's module",
      issue: ZERO,
      script: `import ledger.amounts
exec("def split_evenly(total, people):\\n    return total // 0\\n", ledger.amounts.__dict__)
ledger.amounts.split_evenly(10, 0)
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "compiles code of its own under the name of the project's file",
      issue: ZERO,
      script: `import ledger.amounts
code = "\\n" * 13 + "def split_evenly(total, people):\\n    return total // (people - people)\\n"
exec(compile(code, ledger.amounts.__file__, "exec"), ledger.amounts.__dict__)
ledger.amounts.split_evenly(10, 3)
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "has a mock raise it within the project",
      issue: DIGITS,
      script: `from unittest import mock
import ledger.amounts
with mock.patch("ledger.amounts.check_digits", side_effect=ValueError("amount '1e3' is not a number")):
    ledger.amounts.parse_amount("12")
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "puts a builtin that raises in the place of the project's function",
      issue: `# parse_amount\n\n\`\`\`\nValueError: invalid literal for int() with base 10: '12'\n\`\`\`\n`,
      script: `import functools
import ledger.amounts
ledger.amounts.check_digits = functools.partial(int, base=2)
ledger.amounts.parse_amount("12")
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "gives the project's module a builtin of its own",
      issue: `# parse_amount\n\n\`\`\`\nValueError: the amount is too large\n\`\`\`\n`,
      script: `import ledger.amounts
def huge(value):
    raise ValueError("the amount is too large")
ledger.amounts.round = huge
ledger.amounts.parse_amount("12")
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "calls the project with an object that raises",
      issue: DIGITS,
      script: `import ledger
class Text(str):
    def lstrip(self, chars):
        raise ValueError("amount '1e3' is not a number")
ledger.parse_amount(Text("1e3"))
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "asserts what is false by itself",
      issue: ASSERTION,
      script: `import ledger.fast\nledger.fast.verify(0)\nassert False, "the total is negative"\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "exits with the expected code by itself",
      issue: EXIT,
      script: `import sys\nimport ledger\nledger.parse_amount("1")\nsys.exit(3)\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "exits without a word",
      issue: EXIT,
      script: `import os\nimport ledger\nledger.parse_amount("1")\nos._exit(3)\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "asks for the usage, and exits with the expected code by itself",
      issue: EXIT,
      script: `import sys
from ledger.cli import main
try:
    main([])
except SystemExit:
    sys.exit(3)
`,
      fate: "not_reproduced own_failure",
    },
    // It shows it in print only.
    {
      claim: "prints the message and exits with 0",
      issue: ZERO,
      script: `print("ZeroDivisionError: integer division or modulo by zero")\n`,
      fate: "not_reproduced no_failure",
    },
    {
      claim: "forges a traceback on stderr and exits with 1",
      issue: ZERO,
      script: `import sys\nsys.stderr.write("""${FORGED}\n""")\nsys.exit(1)\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "forges a traceback and leaves by os._exit",
      issue: ZERO,
      script: `import os, sys\nsys.stderr.write("""${FORGED}\n""")\nsys.stderr.flush()\nos._exit(1)\n`,
      fate: "not_reproduced other_failure",
    },
    {
      claim: "forges a traceback in a shell",
      issue: ZERO,
      extension: "sh",
      oracle: "sh {repro_file}",
      script: `cat >&2 <<'X'\n${FORGED}\nX\nexit 1\n`,
      fate: "not_reproduced other_failure",
    },
    {
      claim: "forges a traceback in an interpreter that nobody watches",
      issue: ZERO,
      oracle: "python -S {repro_file}",
      script: `import sys\nsys.stderr.write("""${FORGED}\n""")\nsys.exit(1)\n`,
      fate: "not_reproduced other_failure",
    },
    {
      claim: "shows a log of the project in which the failure stands",
      issue: ZERO,
      extension: "sh",
      oracle: "sh {repro_file}",
      script: `cat tests/old_run.log >&2\nls /nowhere 2> /dev/null || return 1\n`,
      fate: "not_reproduced other_failure",
    },
    {
      claim: "replaces itself by another program with a forged end",
      issue: ZERO,
      script: `import os\nos.execv("/bin/sh", ["sh", "-c", """echo '${
        FORGED.replaceAll("\n", "\\n")
      }' >&2; exit 1"""])\n`,
      fate: "not_reproduced other_failure",
    },
    {
      claim: "catches the project's failure and only prints it",
      issue: ZERO,
      script: `import ledger, traceback
try:
    ledger.split_evenly(10, 0)
except ZeroDivisionError:
    traceback.print_exc()
`,
      fate: "not_reproduced no_failure",
    },
    {
      claim: "quotes a traceback in the message of another failure",
      issue: ZERO,
      script: `raise RuntimeError("""it failed:\n${FORGED}""")\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "hides the end of the project behind a pipe",
      issue: ZERO,
      oracle: "python {repro_file} 2>&1 | tee log",
      script: `import ledger\nledger.split_evenly(10, 0)\n`,
      fate: "not_reproduced no_failure",
    },
    {
      claim: "ends well whatever happens",
      issue: ZERO,
      oracle: "python {repro_file}; true",
      script: `import ledger\nledger.split_evenly(10, 0)\n`,
      fate: "not_reproduced no_failure",
    },
    // Its command decides, not the program.
    {
      claim: "has a command without the script",
      issue: ZERO,
      oracle: "false",
      script: `import ledger\nledger.split_evenly(10, 0)\n`,
      fate: "rejected",
    },
    {
      claim: "has a command that only names the script",
      issue: EXIT,
      oracle: "test -f {repro_file} && exit 3",
      script: `import ledger\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "has a command that prints the failure and exits",
      issue: ZERO,
      oracle: `sh -c 'echo "ZeroDivisionError: integer division or modulo by zero" >&2; exit 1' {repro_file}`,
      script: `import ledger\n`,
      fate: "not_reproduced other_failure",
    },
    {
      claim: "turns the exit status around",
      issue: EXIT,
      oracle: "! python {repro_file} || exit 3",
      script: `import ledger\nledger.split_evenly(10, 2)\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "greps for what is not there",
      issue: ZERO,
      oracle: "python {repro_file} | grep -q fine || exit 1",
      script: `import ledger\nprint(ledger.split_evenly(10, 2))\n`,
      fate: "not_reproduced other_failure",
    },
    // Another failure.
    {
      claim: "shows another exception",
      issue: ZERO,
      script: `import ledger\nledger.parse_amount("")\n`,
      fate: "not_reproduced other_failure",
    },
    {
      claim: "shows another exception with the expected words in its message",
      issue: ZERO,
      script: `import ledger\nledger.parse_amount("ZeroDivisionError: integer division or modulo by zero")\n`,
      fate: "not_reproduced other_failure",
    },
    {
      claim: "shows the expected type with another message",
      issue: DIGITS,
      script: `import ledger\nledger.Account().deposit(-5)\n`,
      fate: "not_reproduced other_failure",
    },
    {
      claim: "shows the expected type in another function",
      issue: KEY,
      script: `from ledger.rates import provider\nprovider()\n`,
      fate: "not_reproduced other_failure",
    },
    {
      claim: "shows the type that prose names, where no function that it names has a part",
      issue: `# Amounts

Calling \`ledger.collapse("a--b")\` raises a ValueError.
`,
      script: `import ledger\nledger.parse_amount("x")\n`,
      fate: "not_reproduced other_failure",
    },
    {
      claim: "lacks a variable that only the worker's shell has",
      issue: KEY,
      script: `import os\nimport ledger\nledger.Account().balance(os.environ["MY_CURRENCY"])\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "opens a file that was never there",
      issue: MISSING_RATES,
      script: `from ledger.rates import load_rates\nload_rates("/nowhere/at/all.txt")\n`,
      fate: "unusable",
    },
    {
      claim: "shows the failure of a thread and goes on",
      issue: NEGATIVE,
      script: `import threading
def fail():
    raise ValueError("deposit of -5 cents is negative")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
`,
      fate: "not_reproduced no_failure",
    },
    {
      claim: "shows it in a child process of its own making",
      issue: ZERO,
      script: `import subprocess, sys
code = "raise ZeroDivisionError('integer division or modulo by zero')"
sys.exit(subprocess.run([sys.executable, "-c", code]).returncode)
`,
      fate: "not_reproduced other_failure",
    },
    {
      claim: "ends in the expected failure of its own exit handler",
      issue: ZERO,
      script: `import atexit
atexit.register(lambda: 1 // 0)
`,
      fate: "not_reproduced no_failure",
    },
    // It is broken.
    {
      claim: "does not parse",
      issue: ZERO,
      script: `import ledger\nledger.split_evenly(10, 0\n`,
      fate: "unusable",
    },
    {
      claim: "does not parse, where the exit code is all that is expected",
      issue: `# Fails\n\n\`python -m ledger good.txt\` exits with code 1.\n`,
      script: `import ledger\nledger.main(\n`,
      fate: "unusable",
    },
    {
      claim: "imports a module that nobody has",
      issue: ZERO,
      script: `import numpy_of_mine\nimport ledger\nledger.split_evenly(10, 0)\n`,
      fate: "unusable",
    },
    {
      claim: "imports a module of the worker's own folder",
      issue: ZERO,
      script:
        `import sys\nsys.path.insert(0, "{worker}")\nimport helper, ledger\nledger.split_evenly(10, helper.helper())\n`,
      fate: "unusable",
    },
    {
      claim: "reads a file of the worker's own folder",
      issue: ZERO,
      script: `import ledger\nledger.split_evenly(10, len(open("{worker}/data.txt").read()) - 2)\n`,
      fate: "unusable",
    },
    {
      claim: "works around its missing file with a failure of its own",
      issue: ZERO,
      script: `try:
    open("{worker}/data.txt")
except OSError:
    1 // 0
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "needs the network",
      issue: ZERO,
      script: `import ledger
from ledger.rates import fetch_rates
ledger.split_evenly(10, len(fetch_rates("http://rates.example.org/")))
`,
      fate: "environment_error",
    },
    {
      claim: "runs out of memory",
      issue: ZERO,
      oracle: "ulimit -v 400000; python {repro_file}",
      script: `import ledger\nledger.split_evenly(10, len(bytearray(1 << 31)) * 0)\n`,
      fate: "environment_error",
    },
    {
      claim: "takes memory without end",
      issue: ZERO,
      script: `import ledger\nx = []\nwhile True:\n    x.append(" " * 10**6)\n`,
      fate: "environment_error",
    },
    {
      claim: "takes memory without end, where the issue is about memory",
      issue: MEMORY,
      script: `from ledger.fast import reserve\nx = []\nwhile True:\n    x.append(b"x" * len(reserve(10**7)))\n`,
      fate: "environment_error",
    },
    {
      claim: "starts more processes than anybody needs",
      issue: ZERO,
      script: `import subprocess
import ledger
for _ in range(700):
    subprocess.Popen(["sleep", "600"])
while True:
    subprocess.run(["sleep", "1"])
`,
      fate: "environment_error",
    },
    {
      claim: "writes to a disk that is full",
      issue: ZERO,
      script: `import ledger\nopen("/dev/full", "w").write("x" * 1000000)\nledger.split_evenly(10, 0)\n`,
      fate: "environment_error",
    },
    {
      claim: "needs a program that is not there",
      issue: ZERO,
      oracle: "python-of-mine {repro_file}",
      script: `import ledger\nledger.split_evenly(10, 0)\n`,
      fate: "environment_error",
    },
    {
      claim: "has a setup that fails",
      issue: ZERO,
      setup: ["echo no >&2; exit 4"],
      script: `import ledger\nledger.split_evenly(10, 0)\n`,
      fate: "environment_error",
    },
    {
      claim: "has a setup that a policy refuses",
      issue: ZERO,
      setup: ["rm -rf /"],
      script: `import ledger\nledger.split_evenly(10, 0)\n`,
      fate: "unusable",
    },
    {
      claim: "fills the output before it ends well",
      issue: ZERO,
      script: `import sys\nfor _ in range(30000):\n    sys.stderr.write("""${FORGED}\n""")\n`,
      fate: "not_reproduced no_failure",
    },
    {
      claim: "leaves the work to a process in the background",
      issue: ZERO,
      script: `import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import ledger; ledger.split_evenly(10, 0)"], start_new_session=True)
`,
      fate: "not_reproduced no_failure",
    },
    {
      claim: "kills the shell that runs it",
      issue: ZERO,
      oracle: "python {repro_file}; true",
      script: `import ledger, os, signal\nos.kill(os.getppid(), signal.SIGTERM)\n`,
      fate: "environment_error",
    },
    // It changes the project.
    {
      claim: "has a setup that patches the project's source",
      issue: DIGITS,
      setup: [
        `sed -i 's/^    sign = .*/    raise ValueError("amount {!r} is not a number".format(text))/' ledger/amounts.py`,
      ],
      script: `import ledger\nledger.parse_amount("1e3")\n`,
      fate: "unusable",
    },
    {
      claim: "has a setup that puts a package over a module of the project",
      issue: DIGITS,
      setup: [
        `mkdir ledger/amounts && printf '%s\\n' 'def check_digits(digits):' '    raise ValueError("amount 1 is not a number")' 'parse_amount = split_evenly = strip_currency = collapse = check_digits' > ledger/amounts/__init__.py`,
      ],
      script: `import ledger\nledger.parse_amount("12")\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "patches the project's source in its run",
      issue: DIGITS,
      script: `import pathlib
source = pathlib.Path("ledger/amounts.py")
source.write_text(source.read_text().replace("    sign =", "    raise ValueError('amount 1 is not a number')\\n    sign ="))
import ledger
ledger.parse_amount("12")
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "patches the project's source in its run, and mends it",
      issue: DIGITS,
      script: `import pathlib
source = pathlib.Path("ledger/amounts.py")
good = source.read_text()
source.write_text(good.replace("    sign =", "    raise ValueError('amount 1 is not a number')\\n    sign ="))
import ledger
source.write_text(good)
ledger.parse_amount("12")
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "writes a module over the project's in its run",
      issue: DIGITS,
      script: `import os
os.mkdir("ledger/amounts")
with open("ledger/amounts/__init__.py", "w") as file:
    file.write("def parse_amount(text):\\n    raise ValueError('amount 1 is not a number')\\n")
    file.write("collapse = split_evenly = strip_currency = parse_amount\\n")
import ledger
ledger.parse_amount("12")
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "writes a project of the same name elsewhere",
      issue: DIGITS,
      script: `import os, sys
os.makedirs("/tmp/mine/ledger")
with open("/tmp/mine/ledger/__init__.py", "w") as file:
    file.write("def parse_amount(text):\\n    raise ValueError('amount 1 is not a number')\\n")
sys.path.insert(0, "/tmp/mine")
import ledger
ledger.parse_amount("12")
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "puts a module of its own in the place of the project's",
      issue: DIGITS,
      script: `import sys, types
fake = types.ModuleType("ledger")
exec("def parse_amount(text):\\n    raise ValueError('amount 1 is not a number')\\n", fake.__dict__)
sys.modules["ledger"] = fake
import ledger
ledger.parse_amount("12")
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "installs a project of the same name that fails",
      issue: ZERO,
      setup: [
        "mkdir -p $HOME/mine/ledger && printf 'def split_evenly(total, people):\\n    return total // people\\n' > $HOME/mine/ledger/amounts.py && touch $HOME/mine/ledger/__init__.py",
        `cp -r $HOME/mine/ledger "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"`,
      ],
      oracle: "cd / && python -I {repro_file}",
      script: `from ledger.amounts import split_evenly\nsplit_evenly(10, 0)\n`,
      fate: "not_reproduced other_failure",
    },
    {
      claim: "has a setup with a hook for every start of Python",
      issue: DIGITS,
      setup: [
        // A .pth file and not a sitecustomize: Debian's Python has one of its own, and the first is the one that runs.
        `cd "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" && echo 'import start_hook' > start_hook.pth && printf '%s\\n' 'import ledger.amounts' 'def check_digits(digits):' '    raise ValueError("amount 1 is not a number")' 'ledger.amounts.check_digits = check_digits' > start_hook.py`,
      ],
      oracle: "PYTHONPATH=. python {repro_file}",
      script: `import ledger\nledger.parse_amount("12")\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "has a forged bytecode of the project's module",
      issue: DIGITS,
      setup: [
        `python - <<'X'
import importlib._bootstrap_external as external, importlib.util, os
path = os.path.abspath("ledger/amounts.py")
source = open(path).read().replace("    sign =", "    raise ValueError('amount 1 is not a number')\\n    sign =")
state = os.stat(path)
code = external._code_to_timestamp_pyc(compile(source, path, "exec"), int(state.st_mtime), state.st_size)
cached = importlib.util.cache_from_source(path)
os.makedirs(os.path.dirname(cached), exist_ok=True)
open(cached, "wb").write(code)
X`,
      ],
      script: `import ledger\nledger.parse_amount("12")\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "takes another commit of the project for its run",
      issue: ZERO,
      oracle:
        "git config user.email a@b && git config user.name a && sed -i 's/people$/0/' ledger/amounts.py && git commit -qam x && python {repro_file}",
      script: `import ledger\nledger.split_evenly(10, 3)\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "has a setup that spoils the project's data",
      issue:
        `# parse_amount\n\n${"```"}\nValueError: amount 'Traceback (most recent call last):' is not a number\n${"```"}\n`,
      setup: ["echo spoiled > tests/old_run.log"],
      script: `import ledger\nledger.parse_amount(open("tests/old_run.log").readline().strip())\n`,
      fate: "unusable",
    },
    {
      claim: "makes the stack smaller than anybody's",
      issue: `# parse_amount\n\n${"```"}\nRecursionError: maximum recursion depth exceeded\n${"```"}\n`,
      script:
        `import sys\nimport ledger\ndef deep(n):\n    if n: return deep(n - 1)\n    ledger.parse_amount("1")\nsys.setrecursionlimit(60)\nfor n in range(60): deep(n)\n`,
      fate: "not_reproduced own_failure",
    },
    // A crash of its own.
    {
      claim: "reads a null pointer itself",
      issue: SEGFAULT,
      script: `import ctypes\nimport ledger.fast\nledger.fast.verify(0)\nctypes.string_at(0)\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "sends itself the signal",
      issue: SEGFAULT,
      script: `import os, signal\nimport ledger.fast\nledger.fast.verify(0)\nos.kill(os.getpid(), signal.SIGSEGV)\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "sends its shell the signal",
      issue: SEGFAULT,
      extension: "sh",
      oracle: "sh {repro_file}",
      script: "python -c 'import ledger.fast'\nkill -SEGV $$\n",
      fate: "not_reproduced own_failure",
    },
    {
      claim: "exits as a shell tells of a signal",
      issue: SEGFAULT,
      script: `import sys\nimport ledger.fast\nledger.fast.verify(0)\nsys.exit(139)\n`,
      fate: "not_reproduced own_failure",
    },
    // A wrong result of its own.
    {
      claim: "asserts a constant beside a call",
      issue: WRONG,
      script: `import ledger\nledger.split_evenly(10, 3)\nassert [3, 3, 3] == [4, 3, 3]\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "asserts something without the project",
      issue: WRONG,
      script: `share = 10 // 3\nassert [share] * 3 == [4, 3, 3]\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "asserts after it has imported the project",
      issue: WRONG,
      script: `import ledger\nassert sum([3, 3, 3]) == 10\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "asserts about a function that it has replaced",
      issue: WRONG,
      script: `import ledger
ledger.parse_amount("1")
ledger.amounts.split_evenly = ledger.split_evenly = lambda total, people: [3, 3, 3]
assert ledger.split_evenly(10, 3) == [4, 3, 3]
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "exits with 1 after a call, whatever it gave",
      issue: WRONG,
      script: `import sys\nimport ledger\nledger.split_evenly(10, 3)\nsys.exit(1)\n`,
      fate: "not_reproduced own_failure",
    },
    // It fails in some runs only.
    {
      claim: "fails in three of ten runs",
      issue: NOBODY,
      script: `from ledger.lottery import draw\ndraw(["ann", "bob"])\n`,
      fate: "flaky or not_reproduced",
    },
    {
      claim: "fails by the order of hashes",
      issue:
        `# first_of\n\n${"```"}\nTraceback (most recent call last):\n  File "x.py", line 1, in <module>\n  File "/x/site-packages/ledger/lottery.py", line 14, in first_of\n    return 1\nZeroDivisionError: integer division or modulo by zero\n${"```"}\n`,
      script: `from ledger.lottery import first_of\nfirst_of(["ann", "bob", "cat", "dan"])\n`,
      fate: "flaky or not_reproduced",
    },
    {
      claim: "fails by the clock",
      issue: ZERO,
      script: `import time\nimport ledger\nledger.split_evenly(10, time.time_ns() // 1000 % 4)\n`,
      fate: "flaky or not_reproduced",
    },
    {
      claim: "fails where the number of its process is even",
      issue: NOBODY_SHORT,
      script: `import os\nfrom ledger.lottery import by_process\nby_process(["ann"], os.getpid() % 2)\n`,
      fate: "flaky or not_reproduced",
    },
    {
      claim: "fails where the number of its process is odd",
      issue: NOBODY_SHORT,
      script: `import os\nfrom ledger.lottery import by_process\nby_process(["ann"], (os.getpid() + 1) % 2)\n`,
      fate: "flaky or not_reproduced",
    },
    {
      claim: "fails on the worker's machine only",
      issue: ZERO,
      script:
        `import socket\nimport ledger\nledger.split_evenly(10, 0 if socket.gethostname() == "worker-of-mine" else 1)\n`,
      fate: "not_reproduced no_failure",
    },
    {
      claim: "fails once it has been run before",
      issue: ZERO,
      script: `import os
import ledger
marks = ["mark", os.path.expanduser("~/mark"), "/tmp/mark"]
seen = sum(os.path.exists(mark) for mark in marks)
for mark in marks:
    open(mark, "w").close()
ledger.split_evenly(10, 0 if seen else 1)
`,
      fate: "not_reproduced no_failure",
    },
  ],
  honest: [
    {
      claim: "an exception in the project, with its frames",
      issue: ZERO,
      script: `import ledger\nledger.split_evenly(10, 0)\n`,
    },
    {
      claim: "an exception through two functions",
      issue: DIGITS,
      script: `import ledger\nledger.parse_amount("1e3")\n`,
    },
    { claim: "an index", issue: EMPTY, script: `from ledger import parse_amount\nparse_amount("")\n` },
    { claim: "a key", issue: KEY, script: `import ledger\nledger.Account().balance("USD")\n` },
    {
      claim: "another key, in the same function",
      issue: KEY,
      script: `import ledger\nledger.Account().balance("CHF")\n`,
    },
    { claim: "an attribute of None", issue: NONE, script: `import ledger\nledger.strip_currency(None)\n` },
    { claim: "prose only", issue: PROSE, script: `import ledger\nledger.split_evenly(10, 0)\n` },
    { claim: "an assertion of the project", issue: ASSERTION, script: `from ledger.fast import verify\nverify(-1)\n` },
    {
      claim: "a missing variable in the project",
      issue: PROVIDER,
      script: `from ledger.rates import provider\nprovider()\n`,
    },
    {
      claim: "an error of the project that is about memory",
      issue: MEMORY,
      script: `from ledger.fast import reserve\nreserve(1 << 60)\n`,
    },
    {
      claim: "a missing file of the project's own",
      issue: MISSING_RATES,
      script: `from ledger.rates import load_rates\nload_rates("/usr/share/ledger/default_rates.txt")\n`,
    },
    {
      claim: "a mock of the surroundings",
      issue: NONE,
      script: `from unittest import mock
import ledger
source = mock.Mock(return_value=None)
ledger.strip_currency(source())
`,
    },
    {
      claim: "unittest",
      issue: ZERO,
      oracle: "python -m unittest repro_candidate",
      script: `import unittest
import ledger
class Nobody(unittest.TestCase):
    def test(self):
        ledger.split_evenly(10, 0)
`,
    },
    {
      claim: "a failure in a thread, told by the exit code",
      issue: NEGATIVE,
      script: `import sys, threading
import ledger
failed = []
before = threading.excepthook
def hook(args):
    failed.append(args.exc_type)
    before(args)
threading.excepthook = hook
ledger.Account().deposit_later(-5)
sys.exit(1 if failed else 0)
`,
    },
    {
      claim: "a failure in a child process",
      issue: ZERO,
      script: `import subprocess, sys
subprocess.run([sys.executable, "-c", "import ledger; ledger.split_evenly(10, 0)"], check=True)
`,
    },
    {
      claim: "a wrong result, asserted",
      issue: WRONG,
      script: `import ledger\nassert ledger.split_evenly(10, 3) == [4, 3, 3]\n`,
    },
    {
      claim: "a wrong result, through a variable",
      issue: WRONG,
      script: `from ledger import split_evenly
def shares(total):
    return split_evenly(total, 3)
found = shares(10)
first = list(found)
assert first == [4, 3, 3], first
`,
    },
    {
      claim: "a wrong result, in a condition",
      issue: WRONG,
      script: `import sys
import ledger
shares = ledger.split_evenly(10, 3)
if shares != [4, 3, 3]:
    print("lost", 10 - sum(shares))
    sys.exit(1)
`,
    },
    {
      claim: "a wrong result, in unittest",
      issue: WRONG,
      oracle: "python -m unittest {repro_file}",
      script: `import unittest
import ledger
class Cents(unittest.TestCase):
    def test_sum(self):
        self.assertEqual(ledger.split_evenly(10, 3), [4, 3, 3])
`,
    },
    {
      claim: "the exit code of the project's command",
      issue: EXIT,
      extension: "sh",
      oracle: "sh {repro_file}",
      script: `echo 1 > good.txt\npython -m ledger --strict good.txt\n`,
    },
    {
      claim: "the exit code of the project's command, called from Python",
      issue: EXIT,
      script: `from ledger.cli import main\nopen("good.txt", "w").write("1\\n")\nmain(["--strict", "good.txt"])\n`,
    },
    { claim: "a crash in the project", issue: SEGFAULT, script: `import ledger.fast\nledger.fast.checksum(0)\n` },
    {
      claim: "the installed project",
      issue: ZERO,
      setup: [`cp -r ledger "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"`],
      oracle: "cd / && python -I {repro_file}",
      script: `import ledger\nledger.split_evenly(10, 0)\n`,
    },
    {
      claim: "a program as people write it",
      issue: ZERO,
      script: `#!/usr/bin/env python3
"""Shows the crash of split_evenly among nobody."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from ledger.amounts import split_evenly


def main() -> int:
    people = [name for name in ("ann", "bob") if name.startswith("x")]
    print("splitting among", len(people))
    shares = split_evenly(10, len(people))
    print(shares)
    return 0


if __name__ == "__main__":
    sys.exit(main())
`,
    },
    {
      claim: "through a coroutine",
      issue: ZERO,
      script: `import asyncio
import ledger
async def split():
    await asyncio.sleep(0)
    return ledger.split_evenly(10, 0)
async def main():
    await asyncio.gather(split())
asyncio.run(main())
`,
    },
    {
      claim: "through a generator, a sort and a class",
      issue: EMPTY,
      script: `import functools
import ledger
class Line:
    @functools.cached_property
    def amount(self):
        return sorted(["2", ""], key=lambda text: ledger.parse_amount(text))
def amounts():
    yield Line().amount
print([*map(len, amounts())])
`,
    },
    {
      claim: "through a pool of threads",
      issue: ZERO,
      script: `from concurrent.futures import ThreadPoolExecutor
import ledger
with ThreadPoolExecutor() as pool:
    print(list(pool.map(lambda people: ledger.split_evenly(10, people), [1, 0])))
`,
    },
    {
      claim: "cleans up, and lets the failure go on",
      issue: ZERO,
      script: `import contextlib, tempfile
import ledger
@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory() as path:
        yield path
try:
    with folder():
        ledger.split_evenly(10, 0)
finally:
    print("done")
`,
    },
    {
      claim: "a wrong result, told by an error of its own on a condition",
      issue: WRONG,
      script: `import ledger
expected = [4, 3, 3]
actual = ledger.split_evenly(10, 3)
print(f"expected {expected}, got {actual}")
if actual != expected:
    raise AssertionError(f"expected {expected}, got {actual}")
`,
    },
    {
      claim: "the exit code that the project's main function gives",
      issue: EXIT,
      script: `import pathlib, sys
from ledger import cli
pathlib.Path("good.txt").write_text("1\\n")
sys.argv = ["ledger", "--strict", "good.txt"]
cli.main(sys.argv[1:])
`,
    },
    {
      claim: "line ends of another system",
      issue: ZERO,
      script: `import ledger\r\nledger.split_evenly(10,\r\n    0)\r\n`,
    },
    {
      claim: "files with odd names beside it",
      issue: ZERO,
      setup: ["mkdir -p 'build/ü ñ' && touch 'build/ü ñ/a\nb'"],
      script: `import ledger, os\nledger.split_evenly(10, len(os.listdir("build/ü ñ")) - 1)\n`,
    },
    {
      claim: "tees its output and keeps its status",
      issue: ZERO,
      oracle: "bash -o pipefail -c 'python \"$0\" 2>&1 | tee log' {repro_file}",
      script: `import ledger\nledger.split_evenly(10, 0)\n`,
    },
  ],
};
