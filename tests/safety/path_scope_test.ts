import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { createPathScope } from "../../src/safety/path_scope.ts";
import { inTempDir } from "../support/temp_dir.ts";

const NO_LINKS = () => undefined;

const contained = (scope: { contains(path: string): boolean }, paths: readonly string[]) =>
  paths.filter((path) => scope.contains(path));

Deno.test("contains() knows a root, what is below it, and nothing that only begins with the same letters", () => {
  const scope = createPathScope(["/work", "/tmp/"], NO_LINKS);
  const inside = ["/work", "/work/", "/work/a/b", "/work/./a", "//work//a", "/tmp/x", "/work/a/..", "/a/../work/b"];
  const outside = ["/workspace", "/wor", "/", "", "/work/..", "/work/../etc", "/tmpx", "work/a", "../work", "/Work/a"];
  deepEqual(contained(scope, [...inside, ...outside]), inside);
  deepEqual(scope.roots, ["/work", "/tmp"]);
  deepEqual(createPathScope(["/a/b", "/a", "/a/c", "/ab"], NO_LINKS).roots, ["/a", "/ab"]);
});

Deno.test("contains() follows links, of the path and of the roots, also before a name that does not exist", () => {
  const links: Record<string, string> = {
    "/work/out": "/etc",
    "/work/in": "a/b",
    "/work/up": "../..",
    "/work/chain": "out/x",
    "/work/loop": "loop",
    "/work/self": ".",
    "/root": "/work",
    "/a/b": "/c",
  };
  const scope = createPathScope(["/root"], (path) => links[path]);
  deepEqual(scope.roots, ["/work"]);
  const inside = ["/work/in/new", "/root/x", "/work/self/self/x", "/work/in/../c"];
  const outside = [
    "/work/out",
    "/work/out/new",
    "/work/up/x",
    "/work/chain",
    "/work/loop",
    "/work/loop/x",
    "/work/in/../../../x",
  ];
  deepEqual(contained(scope, [...inside, ...outside]), inside);
  // `..` of a link is where the link leads, not where it stands.
  equal(createPathScope(["/a"], (path) => links[path]).contains("/a/b/../x"), false);
  equal(scope.resolve("/work/in/../c"), "/work/a/c");
});

Deno.test("contains() lets nothing in by way of /proc, by endless links, nor by endless paths", () => {
  const scope = createPathScope(["/work"], (path) => path.endsWith("/again") ? `${path}/again` : undefined);
  const outside = [
    "/proc/self/cwd",
    "/proc/self/cwd/x",
    "/proc/self/root/work",
    "/proc/self/../../work",
    "/work/again",
    `/work${"/a".repeat(5000)}`,
  ];
  deepEqual(contained(scope, outside), []);
});

Deno.test("resolve() agrees with the file system", async () => {
  await inTempDir(async (made) => {
    const dir = await Deno.realPath(made);
    await Deno.mkdir(`${dir}/a/b`, { recursive: true });
    await Deno.mkdir(`${dir}/c`);
    await Deno.symlink("../c", `${dir}/a/toC`);
    await Deno.symlink(`${dir}/a`, `${dir}/c/toA`);
    await Deno.symlink("b/..", `${dir}/a/here`);
    const readLink = (path: string) => {
      try {
        return Deno.readLinkSync(path);
      } catch {
        return undefined;
      }
    };
    const scope = createPathScope([dir], readLink);
    const name = fc.constantFrom("a", "b", "c", "toC", "toA", "here", "..", ".");
    const paths = fc.array(name, { maxLength: 8 }).map((names) => [dir, ...names].join("/"));
    fc.assert(
      fc.property(paths, (path) => {
        let real: string;
        try {
          real = Deno.realPathSync(path);
        } catch {
          return;
        }
        equal(scope.resolve(path), real, path);
      }),
      { numRuns: 500 },
    );
  });
});
