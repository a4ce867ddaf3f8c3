import { deepStrictEqual as deepEqual, notStrictEqual as notEqual, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { foldersIn, keyOf, normaliseRequest } from "../../../src/gateway/cassette/normalise.ts";
import { claude, codex, gemini, type Run } from "./agent_requests.ts";

const request = (body: unknown, search = "") => normaliseRequest({ method: "POST", path: "/v1/x", search, body });
const keyFor = (body: unknown, search = "") => keyOf(request(body, search));
const textOf = (text: string) => request([text]).body;

const first: Run = {
  folder: "/tmp/h5/w/a1",
  home: "/tmp/h5/homes/a/state",
  port: 35855,
  session: "01a1ff1a-ebe9-7fe3-af23-6078493cd1c0",
  day: "2026-11-21",
  longDay: "Saturday, November 21, 2026",
  clock: "Sat Nov 21 17:15:17 UTC 2026",
  listed: "Nov 21 17:15",
  commit: "1bcd48e",
  pid: 2073,
  seconds: "0.49",
  kernel: "Linux vm 6.18.44-fc-v657 #1 SMP PREEMPT_DYNAMIC @0 x86_64 GNU/Linux",
  owner: "root root",
};
const second: Run = {
  folder: "/home/jane/other place/proj.v2",
  home: "/home/jane/.state-b",
  port: 8045,
  session: "0B8564A8-3D8D-4B3B-BBEA-77B9A9246155",
  day: "2027-05-02",
  longDay: "Sunday, May 2, 2027",
  clock: "Sun May  2 09:05:00 CEST 2027",
  listed: "May  2 09:05",
  commit: "1234567",
  pid: 411_912,
  seconds: "12.1",
  kernel: "Linux build-7 5.15.0-91-generic #101-Ubuntu SMP Tue Nov 14 13:30:08 UTC 2023 aarch64 GNU/Linux",
  owner: "jane  staff",
};

for (const [name, agent] of Object.entries({ codex, claude, gemini })) {
  Deno.test(`${name} asks the same in another folder, session, hour and machine`, () => {
    deepEqual(request(agent(first)), request(agent(second)));
    equal(keyFor(agent(first)), keyFor(agent(second)));
  });

  Deno.test(`${name} asks something else with another task`, () => {
    notEqual(keyFor(agent(first)), keyFor(agent(first, "delete the file")));
  });
}

Deno.test("what differs between two runs has a placeholder", () => {
  const table: [text: string, normalised: string][] = [
    // Ids.
    ["id 4e86338d-168a-5fdf-9afe-a525465cff40.", "id <uuid>."],
    ["fc_01a1ff1a-ec38-7b53-9cd2-c4eeec162476", "fc_<uuid>"],
    ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "<ulid>"],
    ["commit 1bcd48ebf74f72867d88c309c6f2dc15345f92fd", "commit <hex>"],
    ["1a0a207 first", "<hex> first"],
    ["at 1795281316865", "at <hex>"],
    [`sig ${"aB3/".repeat(60)}== end`, "sig <base64> end"],
    // Times.
    ["2026-11-21", "<time>"],
    ["2026-11-21T17:15:20.123Z", "<time>"],
    ["2026-11-21 17:15:20,123 +0100 x", "<time> x"],
    ["Saturday, November 21, 2026", "<time>"],
    ["on Nov 21 2026", "on <time>"],
    ["21 November 2026 at 5:15 PM", "<time>"],
    ["Sat Nov 21 17:15:17 UTC 2026", "<time>"],
    ["Sat, 21 Nov 2026 17:15:17 GMT", "<time>"],
    ["The current month is November 2026.", "The current month is <time>."],
    ["11/21/2026, 5:15:20 PM", "<time>"],
    ["[17:15:20]", "[<time>]"],
    ["<timezone>Etc/UTC</timezone>", "<timezone>"],
    // Durations.
    ["ran in 0.05s", "ran in <duration>"],
    ["took 12 ms", "took <duration>"],
    ["Wall time: 0.0512 seconds", "Wall time: <duration>"],
    ["real 0m1.234s", "real <duration>"],
    ["# duration_ms 12.345", "# duration_ms <duration>"],
    ["3 days ago", "<duration> ago"],
    // The machine.
    ["http://127.0.0.1:35855/v1", "http://127.0.0.1:<port>/v1"],
    ["localhost:80", "localhost:<port>"],
    ["Process Group PGID: 2073", "Process Group PGID: <pid>"],
    ["pid=12", "pid=<pid>"],
    ["[1] 4711", "[1] <pid>"],
    ["Chunk ID: bc3ed9", "Chunk ID: <id>"],
    ["Original token count: 91", "Original token count: <count>"],
    ["OS Version: Linux 6.18.44-fc-v657\nnext", "OS Version: Linux <kernel>\nnext"],
    ["-rw-r--r-- 1 root root 3 Nov 21 17:15 a.txt", "-rw-r--r-- 3 <time> a.txt"],
    ["-rw-r--r--@  1 me  staff  3 Nov 21  2025 a.txt", "-rw-r--r-- 3 <time> a.txt"],
    ["drwxr-xr-x 8 root root 4096 Nov 21 17:15 .git", "drwxr-xr-x <time> .git"],
    ["total 20\nx", "total <blocks>\nx"],
    ["====== 1 passed ========", "==== 1 passed ===="],
    // Paths.
    ["cat /tmp/x/y/a.txt /home/me/b.json", "cat <path>/a.txt <path>/b.json"],
    ["cd /builds/group/project && ls", "cd <path> && ls"],
    ["(/var/folders/ab/T/tmp.X1y2Z3a4)", "(<path>)"],
    [String.raw`{"output":"done\n/tmp/x/y.txt"}`, String.raw`{"output":"done\n<path>/y.txt"}`],
    // What stays.
    ["/usr/bin/python3: No module named pytest", "/usr/bin/python3: No module named pytest"],
    ["src/a.ts ./b/c ../d/e ~/f/g $H/i and/or", "src/a.ts ./b/c ../d/e ~/f/g $H/i and/or"],
    ["see https://example.com/a/b/c", "see https://example.com/a/b/c"],
    ["pytest 8.3.42, claude 2.1.329", "pytest 8.3.42, claude 2.1.329"],
    ["42 files, 123456 lines, call_0", "42 files, 123456 lines, call_0"],
    ["toolu_01XyZw9", "toolu_01XyZw9"],
    ["You may 1 day decide; marching 5 abreast", "You may <duration> decide; marching 5 abreast"],
  ];
  deepEqual(table.map(([text]) => textOf(text)), table.map(([, normalised]) => [normalised]));
});

Deno.test("normalising twice changes nothing more", () => {
  for (const agent of [codex, claude, gemini]) {
    const { body } = request(agent(second));
    deepEqual(request(body).body, body);
  }
});

Deno.test("a folder that the request states is taken out wherever it stands, the path inside it stays", () => {
  const body = (folder: string) => ({
    system: `Working directory: ${folder}`,
    calls: [`${folder}/src/a`, `cat ${folder}/src/b;ls "${folder}"`, `${folder}-2`],
  });
  deepEqual(request(body("/app")).body, {
    calls: ["<folder>/src/a", 'cat <folder>/src/b;ls "<folder>"', "/app-2"],
    system: "Working directory: <folder>",
  });
  deepEqual(foldersIn([codex(first), claude(second), gemini(first)]), [
    "/tmp/h5/w/a1",
    "/home/jane/other place/proj.v2",
    "/tmp/h5/homes/a/state/tmp/a1",
  ]);
});

Deno.test("the session's fields do not count at the top, and count everywhere else", () => {
  const session = {
    metadata: { user_id: "a" },
    prompt_cache_key: "a",
    session_id: "a",
    safety_identifier: "a",
    user: "a",
  };
  equal(keyFor({ model: "m", ...session }), keyFor({ model: "m" }));
  notEqual(keyFor({ model: "m", tools: [session] }), keyFor({ model: "m", tools: [{}] }));
});

Deno.test("model, path, method and the form of a stream count, other parts of the query do not", () => {
  const call = {
    method: "POST",
    path: "/v1beta/models/a:generateContent",
    search: "?alt=sse&worker=w1",
    body: { model: "m" },
  };
  const same = keyOf(normaliseRequest(call));
  equal(keyOf(normaliseRequest({ ...call, search: "?beta=true&alt=sse" })), same);
  for (const change of [{ search: "" }, { path: "/v1/x" }, { method: "GET" }, { body: { model: "n" } }]) {
    notEqual(keyOf(normaliseRequest({ ...call, ...change })), same);
  }
});

Deno.test("the order of members does not count, that of elements does", () => {
  const shuffled = (value: unknown): unknown =>
    typeof value !== "object" || value === null
      ? value
      : Array.isArray(value)
      ? value.map(shuffled)
      : Object.fromEntries(Object.entries(value).reverse().map(([name, member]) => [name, shuffled(member)]));
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    equal(keyFor(value), keyFor(shuffled(value)));
  }));
  notEqual(keyFor({ a: [1, 2] }), keyFor({ a: [2, 1] }));
});

Deno.test("awkward texts of a megabyte and deep bodies are read", () => {
  for (
    const unit of ["/a", "1 ", "12:30 ", "f", "- /", "Linux ", "d", "Nov ", "pid 1, ", "Working directory: /", "\\n/"]
  ) {
    request({ text: unit.repeat(1_000_000 / unit.length) });
  }
  let deep: unknown = 1;
  for (let depth = 0; depth < 5000; depth++) deep = [deep];
  request(deep);
});
