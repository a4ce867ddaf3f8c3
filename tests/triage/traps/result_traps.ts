/** Traps about wrong results, in Python and Node, and honest reproducers of them. */
import type { Planted } from "./trap.ts";

const SHOP = {
  "pyproject.toml": '[project]\nname = "shop"\nversion = "2.0.0"\n',
  "shop/__init__.py": "from shop.money import mean_price, split_evenly, total_of\nfrom shop.text import slug\n",
  "shop/money.py": `"""Prices."""
import array


def split_evenly(total, people):
    share = total // people
    return [share] * people


def mean_price(prices):
    return sum(prices) / (len(prices) + 1)


def total_of(prices):
    return sum(prices[1:])


def as_cells(count):
    return array.array("i", range(count - 1))


def sizes():
    for size in (1, 2):
        yield size


async def fetch_total(prices):
    return total_of(prices)


class Basket:
    def __init__(self):
        self.prices = []

    def add(self, price):
        self.prices.append(price)

    def total(self):
        return total_of(self.prices)

    @property
    def count(self):
        return len(self.prices) + 1


def check_age(age):
    return True
`,
  "shop/text.py": `"""Words for addresses."""


def slug(title):
    return title.lower()
`,
  "package.json": '{ "name": "shop", "main": "lib/index.js" }\n',
  "lib/index.js": `"use strict";
const { Basket } = require("./basket.js");
exports.splitEvenly = (total, people) => Array.from({ length: people }, () => Math.floor(total / people));
exports.roundHalf = function roundHalf(value) {
  return Math.round(value);
};
exports.loadTotal = async (prices) => prices.slice(1).reduce((a, b) => a + b, 0);
exports.Basket = Basket;
`,
  "lib/basket.js": `"use strict";
class Basket {
  constructor() {
    this.prices = [];
  }

  add(price) {
    this.prices.push(price);
  }

  total() {
    let total = 0;
    for (const price of this.prices) total = price;
    return total;
  }
}
exports.Basket = Basket;
`,
};

const SPLIT = `# split_evenly loses cents

\`split_evenly(10, 3)\` returns \`[3, 3, 3]\` instead of \`[4, 3, 3]\`.
`;
const MEAN = `# mean_price is too low

\`\`\`python
from shop import mean_price
mean_price([0.5, 1.0, 1.5])  # 0.75, should be 1.0
\`\`\`
`;
const SLUG = `# slug keeps the blanks

\`slug("Red Hat")\` returns \`red hat\` instead of \`red-hat\`.
`;
const BASKET = `# Basket.total() forgets the first price

With prices of 10 and 20, \`basket.total()\` returns \`20\` instead of \`30\`.
`;
const CELLS = `# as_cells is one short

\`as_cells(3)\` returns \`[0, 1]\` instead of \`[0, 1, 2]\`.
`;
const COUNT = `# Basket.count is wrong

\`\`\`python
Basket().count  # 1, should be 0
\`\`\`
`;
const FETCH = `# fetch_total

\`await fetch_total([5, 7])\` returns \`7\` instead of \`12\`.
`;
const AGE = `# check_age(-1)

\`check_age(-1)\` should raise a ValueError, but returns \`True\`.
`;
const NODE_SPLIT = `# splitEvenly loses cents

\`splitEvenly(10, 3)\` returns \`[3, 3, 3]\` instead of \`[4, 3, 3]\`.
`;
const ROUND = `# roundHalf(2.5)

\`roundHalf(2.5)\` returns \`3\` instead of \`2\`.
`;
const LOAD = `# loadTotal

\`await loadTotal([5, 7])\` returns \`7\` instead of \`12\`.
`;

const refuted = "not_reproduced match";
const node = { extension: "js", oracle: "node {repro_file}" };

export const resultTraps: Planted = {
  files: SHOP,
  oracle: "python {repro_file}",
  extension: "py",
  programs: ["python3", "node"],
  traps: [
    {
      claim: "compares constants under a condition on the project",
      issue: SPLIT,
      script: `import shop
got = shop.split_evenly(10, 3)
if got:
    assert [3, 3, 3] == [4, 3, 3], "returns [3, 3, 3] instead of [4, 3, 3]"
`,
      fate: refuted,
    },
    {
      claim: "has a function of the project's name, which calls something else of it",
      issue: SPLIT,
      script: `import shop
def split_evenly(total, people):
    shop.total_of([1])
    return [3, 3, 3]
assert split_evenly(10, 3) == [4, 3, 3]
`,
      fate: refuted,
    },
    {
      claim: "prints a value of its own as the project's, and exits",
      issue: SPLIT,
      script: `import sys
import shop
got = shop.split_evenly(10, 3)
print("split_evenly returned [3, 3, 3] instead of [4, 3, 3]", file=sys.stderr)
sys.exit(1 if got else 0)
`,
      fate: refuted,
    },
    {
      claim: "has a module of its own between it and the project",
      issue: SPLIT,
      script: `import sys, types
import shop
def split_evenly(total, people):
    return shop.split_evenly(total, people)[:1] * people
between = types.ModuleType("between")
between.split_evenly = split_evenly
sys.modules["between"] = between
from between import split_evenly as split
assert split(10, 3) == [4, 3, 3]
`,
      fate: refuted,
    },
    {
      claim: "changes the result before it compares it",
      issue: SPLIT,
      script: `import shop
got = shop.split_evenly(10, 3)
got[0] -= 1
assert got == [4, 3, 3]
`,
      fate: refuted,
    },
    {
      claim: "asserts about another function of the project",
      issue: SPLIT,
      script: `import shop
got = shop.total_of([4, 3, 3])
assert got == 10, got
`,
      fate: refuted,
    },
    {
      claim: "asserts about another function, and calls the right one as well",
      issue: SPLIT,
      script: `import shop
shop.split_evenly(10, 3)
assert shop.total_of([4, 3, 3]) == 10
`,
      fate: refuted,
    },
    {
      claim: "calls the function with other arguments",
      issue: SPLIT,
      script: `import shop\nassert shop.split_evenly(16, 4) == [4, 3, 3]\n`,
      fate: refuted,
    },
    {
      claim: "wants more than the issue does",
      issue: MEAN,
      script: `from shop import mean_price\nvalue = mean_price([0.5, 1.0, 1.5])\nassert value > 1.0 + 1.5, value\n`,
      fate: refuted,
    },
    {
      claim: "compares with another kind of value",
      issue: SLUG,
      script: `from shop import slug\nassert slug("Red Hat") == ["red-hat"], slug("Red Hat")\n`,
      fate: refuted,
    },
    {
      claim: "asks for the exception of the issue, and takes none",
      issue: AGE,
      script: `from shop.money import check_age
try:
    result = check_age(-1)
except ValueError:
    result = True
assert result is None, "-1 returns True"
`,
      fate: refuted,
    },
    {
      claim: "compares constants under a condition on the project, in Node",
      issue: NODE_SPLIT,
      ...node,
      script: `const assert = require("node:assert");
const { splitEvenly } = require("./lib");
const got = splitEvenly(10, 3);
if (got.length > 0) {
  assert.deepStrictEqual([3, 3, 3], [4, 3, 3]);
}
`,
      fate: refuted,
    },
    {
      claim: "changes the result before it compares it, in Node",
      issue: ROUND,
      ...node,
      script: `const assert = require("node:assert");
const { roundHalf } = require("./lib");
const got = roundHalf(2.5) + 1;
assert.strictEqual(got, 2);
`,
      fate: refuted,
    },
    {
      claim: "asserts about another function, in Node",
      issue: ROUND,
      ...node,
      script: `const assert = require("node:assert");
const { splitEvenly } = require("./lib");
assert.deepStrictEqual(splitEvenly(5, 2), [3, 2]);
`,
      fate: refuted,
    },
    {
      claim: "forgets what a promise gave, in Node",
      issue: LOAD,
      ...node,
      script: `const { loadTotal } = require("./lib");
loadTotal([5, 7]).then((total) => {
  if (total !== undefined) throw new Error("7, expected 12");
});
`,
      fate: refuted,
    },
  ],
  honest: [
    {
      claim: "a list, asserted in Python",
      issue: SPLIT,
      script: `from shop.money import split_evenly\nassert split_evenly(10, 3) == [4, 3, 3]\n`,
    },
    {
      claim: "an invariant of a list, in Python",
      issue: SPLIT,
      script:
        `import shop\nshares = shop.split_evenly(10, 3)\nassert sum(shares) == 10, f"{shares} is not [4, 3, 3]"\n`,
    },
    {
      claim: "printed, and told by the exit status",
      issue: SPLIT,
      script: `import sys
from shop import split_evenly
expected, got = [4, 3, 3], split_evenly(10, 3)
print("expected", expected, "got", got)
sys.exit(0 if got == expected else 1)
`,
    },
    {
      claim: "a table of cases, of which one is wrong",
      issue: SPLIT,
      script: `from shop import split_evenly
for total, people, expected in [(9, 3, [3, 3, 3]), (8, 2, [4, 4]), (10, 3, [4, 3, 3])]:
    assert split_evenly(total, people) == expected, (total, people)
`,
    },
    {
      claim: "cases that are gathered, of which one is wrong",
      issue: SPLIT,
      script: `import sys
from shop import split_evenly
wrong = [(total, people) for total, people, expected in [(10, 3, [4, 3, 3]), (9, 3, [3, 3, 3])]
         if split_evenly(total, people) != expected]
if wrong:
    print(wrong)
    sys.exit(1)
`,
    },
    {
      claim: "a test of unittest, of a class",
      issue: BASKET,
      oracle: "python -m unittest {repro_file}",
      script: `import unittest
from shop.money import Basket
class Totals(unittest.TestCase):
    def setUp(self):
        self.basket = Basket()
    def test_total(self):
        for price in (10, 20):
            self.basket.add(price)
        self.assertEqual(self.basket.total(), 30)
`,
    },
    {
      claim: "an example as in a documentation",
      issue: SPLIT,
      script: `"""
>>> from shop import split_evenly
>>> split_evenly(10, 3)
[4, 3, 3]
"""
import doctest
import sys
import shop
failed = doctest.testmod(sys.modules["__main__"], extraglobs={"shop": shop}).failed
sys.exit(1 if failed else 0)
`,
    },
    {
      claim: "a number with a tolerance",
      issue: MEAN,
      script: `import math
from shop import mean_price
value = mean_price([0.5, 1.0, 1.5])
assert math.isclose(value, 1.0, rel_tol=1e-9), value
`,
    },
    {
      claim: "an array",
      issue: CELLS,
      script: `import array
from shop.money import as_cells
cells = as_cells(3)
assert cells == array.array("i", [0, 1, 2]), cells.tolist()
`,
    },
    { claim: "a text", issue: SLUG, script: `import shop\nassert shop.slug("Red Hat") == "red-hat"\n` },
    {
      claim: "a property",
      issue: COUNT,
      script: `from shop.money import Basket\nassert Basket().count == 0, "count should be 0"\n`,
    },
    {
      claim: "a coroutine",
      issue: FETCH,
      script: `import asyncio
from shop.money import fetch_total
total = asyncio.run(fetch_total([5, 7]))
assert total == 12, total
`,
    },
    {
      claim: "an exception that does not come",
      issue: AGE,
      script: `from shop.money import check_age
try:
    check_age(-1)
except ValueError:
    pass
else:
    raise AssertionError("check_age(-1) returns True")
`,
    },
    {
      claim: "a list, in Node",
      issue: NODE_SPLIT,
      ...node,
      script: `const assert = require("node:assert");
const shop = require("./lib");
assert.deepStrictEqual(shop.splitEvenly(10, 3), [4, 3, 3]);
`,
    },
    {
      claim: "a number, in a condition in Node",
      issue: ROUND,
      ...node,
      script: `const { roundHalf } = require("./lib/index.js");
const got = roundHalf(2.5);
if (got !== 2) {
  console.error("got", got);
  process.exit(1);
}
`,
    },
    {
      claim: "a promise, in Node",
      issue: LOAD,
      ...node,
      script: `const assert = require("node:assert");
const { loadTotal } = require("./lib");
(async () => {
  assert.equal(await loadTotal([5, 7]), 12);
})();
`,
    },
    {
      claim: "a module of the new kind, in Node",
      issue: BASKET,
      oracle: node.oracle,
      extension: "mjs",
      script: `import { strictEqual as equal } from "node:assert/strict";
import shop from "./lib/index.js";
const basket = new shop.Basket();
basket.add(10);
basket.add(20);
equal(basket.total(), 30);
`,
    },
    {
      claim: "a test of Node's own, of a class",
      issue: BASKET,
      extension: "js",
      oracle: "node --test {repro_file}",
      script: `const test = require("node:test");
const assert = require("node:assert");
const { Basket } = require("./lib/basket.js");
test("total", () => {
  const basket = new Basket();
  for (const price of [10, 20]) basket.add(price);
  assert.strictEqual(basket.total(), 30);
});
`,
    },
  ],
};
