/** A small Python project with planted bugs, and issues about them. */

export const LEDGER: Readonly<Record<string, string>> = {
  "pyproject.toml": `[project]
name = "ledger"
version = "1.2.0"
`,
  ".gitignore": "build/\n*.egg-info\n",
  "ledger/__init__.py": `from ledger.account import Account
from ledger.amounts import collapse, parse_amount, split_evenly, strip_currency
`,
  "ledger/amounts.py": `"""Amounts of money, in cents."""


def parse_amount(text):
    sign = -1 if text[0] == "-" else 1
    digits = text.lstrip("+-")
    check_digits(digits)
    return sign * round(float(digits) * 100)


def check_digits(digits):
    if not digits.replace(".", "").isdigit():
        raise ValueError(f"amount {digits!r} is not a number")


def split_evenly(total, people):
    share = total // people
    return [share] * people


def strip_currency(amount):
    return amount.strip("€$ ")


def collapse(text):
    while "--" in text:
        text = text.replace("--", "--")
    return text
`,
  "ledger/account.py": `"""Accounts, each with a balance in every currency."""
import threading


class AccountError(ValueError):
    pass


class Account:
    def __init__(self):
        self.balances = {"EUR": 0}

    def balance(self, currency):
        return self.balances[currency]

    def deposit(self, cents):
        if cents < 0:
            raise AccountError(f"deposit of {cents} cents is negative")
        self.balances["EUR"] += cents

    def deposit_later(self, cents):
        thread = threading.Thread(target=self.deposit, args=(cents,))
        thread.start()
        thread.join()
`,
  "ledger/rates.py": `"""Rates of exchange."""
import os
import urllib.request


def load_rates(path):
    with open(path) as file:
        return dict(line.split() for line in file)


def provider():
    return os.environ["LEDGER_PROVIDER"]


def fetch_rates(address):
    with urllib.request.urlopen(address) as answer:
        return answer.read()
`,
  "ledger/lottery.py": `"""Who pays."""
import random


def draw(names):
    if random.random() < 0.3:
        raise RuntimeError("nobody was drawn")
    return random.choice(names)


def first_of(names):
    for name in set(names):
        return {"ann": 1, "bob": 2, "cat": 3, "dan": 4}[name] // (name != "ann")


def by_process(names, number):
    if number == 0:
        raise RuntimeError("nobody was drawn")
    return names[0]
`,
  "ledger/fast.py": `"""Reads memory that others have filled."""
import ctypes


def checksum(address):
    return sum(ctypes.string_at(address))


def verify(total):
    assert total >= 0, "the total is negative"
    return total


def reserve(count):
    return bytearray(count)
`,
  "ledger/__main__.py": `import sys

from ledger.cli import main

main(sys.argv[1:])
`,
  "ledger/cli.py": `"""Adds up the amounts in a file."""
import sys

from ledger.amounts import parse_amount


def main(arguments):
    strict = "--strict" in arguments
    names = [name for name in arguments if name != "--strict"]
    if not names:
        print("usage: ledger [--strict] FILE", file=sys.stderr)
        sys.exit(2)
    with open(names[0]) as file:
        total = sum(parse_amount(line.strip()) for line in file if line.strip())
    print(total)
    if strict:
        sys.exit(3)
`,
  "tests/old_run.log": `Traceback (most recent call last):
  File "ledger/amounts.py", line 17, in split_evenly
    share = total // people
ZeroDivisionError: integer division or modulo by zero
`,
};

const traceback = (frames: string, error: string) =>
  `Traceback (most recent call last):
  File "/home/kim/books/june.py", line 7, in <module>
    main()
  File "/home/kim/books/june.py", line 4, in main
    ledger.work()
${frames}${error}`;

const frame = (file: string, line: number, name: string, code: string) =>
  `  File "/home/kim/.venv/lib/python3.10/site-packages/ledger/${file}", line ${line}, in ${name}
    ${code}
`;

const fence = (text: string) => `\`\`\`\n${text}\n\`\`\`\n`;

/** Whole tracebacks, with the frames of an installed copy. */
export const ZERO = `# Splitting among nobody crashes

My script stopped today:

${
  fence(traceback(
    frame("amounts.py", 15, "split_evenly", "share = total // people"),
    "ZeroDivisionError: integer division or modulo by zero",
  ))
}`;
export const EMPTY = `# parse_amount crashes on an empty line

${fence(traceback(frame("amounts.py", 5, "parse_amount", "sign = -1"), "IndexError: string index out of range"))}`;
export const KEY = `# Account.balance fails for new currencies

${fence(traceback(frame("account.py", 14, "balance", "return self.balances[currency]"), "KeyError: 'USD'"))}`;
export const NONE = `# strip_currency does not take None

${
  fence(
    traceback(
      frame("amounts.py", 20, "strip_currency", "return amount.strip"),
      "AttributeError: 'NoneType' object has no attribute 'strip'",
    ),
  )
}`;
export const NEGATIVE = `# deposit in a thread

${
  fence(
    `Exception in thread Thread-1 (deposit):\n${
      traceback(
        frame("account.py", 18, "deposit", "raise AccountError"),
        "ledger.account.AccountError: deposit of -5 cents is negative",
      )
    }`,
  )
}`;
/** The last line only. */
export const DIGITS = `# Amounts with an exponent

\`parse_amount("1e3")\` fails:

${fence("ValueError: amount '1e3' is not a number")}`;
export const NOBODY = `# The lottery fails now and then

${fence(traceback(frame("lottery.py", 7, "draw", "raise RuntimeError"), "RuntimeError: nobody was drawn"))}`;
export const NOBODY_SHORT = `# The lottery fails now and then

${fence("RuntimeError: nobody was drawn")}`;
/** Prose. */
export const PROSE = `# split_evenly and nobody

When the list of people is empty, \`split_evenly(10, 0)\` raises a ZeroDivisionError.
`;
export const WRONG = `# split_evenly loses cents

\`split_evenly(10, 3)\` returns \`[3, 3, 3]\` instead of \`[4, 3, 3]\`.
`;
export const EXIT = `# --strict fails for good files

\`python -m ledger --strict good.txt\` exits with code 3 although nothing is wrong with the file.
`;
export const HANG = `# collapse never ends

\`ledger.collapse("a--b")\` hangs forever.
`;
export const SEGFAULT = `# checksum(0)

\`ledger.fast.checksum(0)\` ends in a segmentation fault:

${fence("Segmentation fault (core dumped)")}`;
export const ASSERTION = `# verify is too strict

${
  fence(
    traceback(frame("fast.py", 10, "verify", "assert total >= 0"), "AssertionError: the total is negative"),
  )
}`;
export const MEMORY = `# reserve takes all memory

${fence(traceback(frame("fast.py", 15, "reserve", "return bytearray(count)"), "MemoryError"))}`;
export const MISSING_RATES = `# The rates that come with it are not found

${
  fence(
    traceback(
      frame("rates.py", 7, "load_rates", "with open(path) as file:"),
      "FileNotFoundError: [Errno 2] No such file or directory: '/usr/share/ledger/default_rates.txt'",
    ),
  )
}`;
export const PROVIDER = `# provider() needs a variable

${
  fence(
    traceback(
      frame("rates.py", 12, "provider", 'return os.environ["LEDGER_PROVIDER"]'),
      "KeyError: 'LEDGER_PROVIDER'",
    ),
  )
}`;
