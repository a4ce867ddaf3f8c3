import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { isSecretName, REDACTED, Redactor, secretsIn, splitSecrets } from "../../src/safety/secrets.ts";

// Put together here, so that scanners of repositories do not take them for leaked ones.
const SOME = "a1B2c3D4e5F6g7H8j9K0";
const SHAPED: Record<string, string> = {
  openai: "sk-" + SOME + SOME,
  "openai project": "sk-" + "proj-" + SOME + "_-" + SOME,
  anthropic: "sk-" + "ant-api03-" + SOME + "-" + SOME + "AA",
  openrouter: "sk-" + "or-v1-" + "0f".repeat(32),
  stripe: "sk_" + "live_" + SOME,
  "github classic": "ghp" + "_" + SOME + SOME,
  "github oauth": "gho" + "_" + SOME + SOME,
  "github app": "ghs" + "_" + SOME + SOME,
  "github fine-grained": "github" + "_pat_" + SOME + "_" + SOME,
  gitlab: "glpat" + "-" + SOME,
  aws: "AKIA" + "IOSFODNN7EXAMPLE",
  google: "AIza" + "Sy" + SOME + SOME.slice(0, 13),
  slack: "xoxb" + "-123456789012-" + SOME,
  "hugging face": "hf" + "_" + SOME + SOME,
  "json web token": "ey" + "JhbGciOiJIUzI1NiJ9.ey" + "JzdWIiOiIxMjM0NTY3ODkwIn0." + SOME + "-_",
};

Deno.test("isSecretName() knows the names of credentials in any spelling", () => {
  const secret =
    `OPENAI_API_KEY ANTHROPIC_API_KEY MINI_API_KEY api_key apiKey x-api-key APIKEY apikey GITHUB_TOKEN HF_TOKEN
    token accessToken GH_TOKEN_2 NODE_AUTH_TOKEN _authToken AWS_SECRET_ACCESS_KEY AWS_ACCESS_KEY_ID AWS_SESSION_TOKEN
    clientSecret CLIENT_SECRET_JSON DJANGO_SECRET_KEY DB_PASSWORD PGPASSWORD password MYSQL_PWD SMTP_PASS passphrase
    GOOGLE_APPLICATION_CREDENTIALS credentials PRIVATE_KEY SSH_PRIVATE_KEY privateKey ENCRYPTION_KEY AZURE_OPENAI_KEY
    AUTH BASIC_AUTH Authorization proxy-authorization DOCKER_AUTH_CONFIG NPM_CONFIG__AUTH cookie set-cookie GITHUB_PAT
    AZURE_STORAGE_CONNECTION_STRING SLACK_WEBHOOK_URL api_keys OPENAI_API_KEY1 DEPLOY_KEY_BASE64`.split(/\s+/);
  deepEqual(secret.filter((name) => !isSecretName(name)), []);
});

Deno.test("isSecretName() leaves names that only look alike", () => {
  const plain =
    `PATH PWD OLDPWD HOME KEYBOARD KEY key keys MONKEY KEYTIMEOUT TOKENIZERS_PARALLELISM tokenizer SSH_AUTH_SOCK
    GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL author authors XAUTHORITY OS_AUTH_URL AUTH_TYPE max_tokens input_tokens MAX_TOKENS
    TOKENS total_tokens max_token eos_token next_page_token token_count public_key PUBLIC_KEY primary_key cache_key
    prompt_cache_key GPG_KEY GIT_ASKPASS SUDO_ASKPASS PASS COMPASS bypass pass_rate DATABASE_URL URL tool_call_id
    API_KEY_PATH api_key_env keyword LESSKEY signature`.split(/\s+/).concat("", "é", "_");
  deepEqual(plain.filter(isSecretName), []);
});

Deno.test("isSecretName() takes linear time for hostile names", () => {
  for (const unit of ["A", "a", "aA", "_", "API_", "9"]) equal(typeof isSecretName(unit.repeat(1_000_000)), "boolean");
});

Deno.test("secretsIn() takes the values of secret names and passwords in URLs, and nothing ordinary", () => {
  deepEqual(
    secretsIn({
      OPENAI_API_KEY: "value-of-key",
      SPACED_TOKEN: " spaced-value\n",
      SHORT_TOKEN: "short",
      USE_TOKEN: "false",
      NO_PASSWORD: "undefined",
      PIN_PASSWORD: "123456",
      LONG_PASSWORD: "12345678901234",
      PATH: "/usr/bin:/bin",
      SSH_AUTH_SOCK: "/tmp/agent.sock",
      DATABASE_URL: "postgres://app:p%40ss%2Fword@db:5432/x postgres://host:5432/no-password",
      HTTPS_PROXY: "http://user:proxy-pass@proxy:3128",
      HOMEPAGE: "https://example.org/a:b@c",
    }),
    ["value-of-key", "spaced-value", "12345678901234", "p%40ss%2Fword", "p@ss/word", "proxy-pass"],
  );
});

Deno.test("secretsIn() looks into mappings and lists, and takes a header's secret without its scheme", () => {
  deepEqual(
    secretsIn({
      model: { model_kwargs: { extra_headers: { Authorization: "Bearer header-value" }, max_tokens: 5 } },
      api_keys: ["first-key", { name: "plain name" }],
      environment: { env: { DEPLOY_TOKEN: "deploy words" }, cwd: "/work/project" },
      nothing: null,
    }),
    ["Bearer header-value", "header-value", "first-key", "deploy words"],
  );
});

Deno.test("splitSecrets() separates by name and keeps every variable", () => {
  deepEqual(splitSecrets({ PATH: "/bin", GITHUB_TOKEN: "x", HOME: "/root", MINI_API_KEY: "" }), {
    plain: { PATH: "/bin", HOME: "/root" },
    secret: { GITHUB_TOKEN: "x", MINI_API_KEY: "" },
  });
});

Deno.test("a given secret is found as it is, in URLs, in JSON, in JSON in JSON and as base64", () => {
  const secret = 'p@ss "wörd"/\\+\n1';
  const { redact } = boundRedactor([secret]);
  equal(redact(`x${secret}y`), `x${REDACTED}y`);
  equal(redact(`?key=${encodeURIComponent(secret)}&b`), `?key=${REDACTED}&b`);
  equal(redact(`?${new URLSearchParams({ k: "p@ss word" })}`), "?k=p%40ss+word");
  equal(boundRedactor(["p@ss word"]).redact(`?${new URLSearchParams({ k: "p@ss word" })}`), `?k=${REDACTED}`);
  const json = JSON.stringify({ a: secret });
  equal(redact(json), `{"a":"${REDACTED}"}`);
  equal(redact(JSON.stringify({ arguments: json })), `{"arguments":"{\\"a\\":\\"${REDACTED}\\"}"}`);
  const bytes = new TextEncoder().encode(secret);
  const base64 = btoa(String.fromCharCode(...bytes));
  equal(redact(`echo ${base64} | base64 -d`), `echo ${REDACTED} | base64 -d`);
  equal(redact(base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")), REDACTED);
});

Deno.test("the longest secret wins, special characters count as themselves, and tiny ones are ignored", () => {
  const { redact } = boundRedactor(["secret", "secret-and-more", "a.c*(d)", "ab", "", "   "]);
  equal(
    redact("secret-and-more secret a.c*(d) abc*(d) axc*(d)"),
    `${REDACTED} ${REDACTED} ${REDACTED} abc*(d) axc*(d)`,
  );
});

Deno.test("no given secret is left in any text, in any of its forms", () => {
  const secrets = fc.array(fc.string({ unit: "binary", minLength: 6, maxLength: 20 }), { maxLength: 4 });
  fc.assert(fc.property(secrets, fc.array(fc.string({ unit: "binary" })), (secrets, pieces) => {
    const meaningful = secrets.filter((secret) => secret.trim().length >= 4 && !REDACTED.includes(secret));
    const { redact } = boundRedactor(meaningful);
    const text = pieces.flatMap((piece, i) => [piece, meaningful[i % Math.max(1, meaningful.length)] ?? ""]).join("");
    const redacted = redact(text);
    deepEqual(meaningful.filter((secret) => redacted.split(REDACTED).some((part) => part.includes(secret))), []);
  }));
});

Deno.test("credentials of a well-known look are redacted without being given", () => {
  const { redact } = boundRedactor();
  for (const [kind, credential] of Object.entries(SHAPED)) {
    for (
      const [before, after] of [["", ""], ["KEY=", "\n"], ['"', '"'], ["\\n", "\\n"], ["?k=%20", "&x"], ["(", "),"]]
    ) {
      equal(redact(before + credential + after), before + REDACTED + after, kind);
    }
  }
});

Deno.test("ordinary text, code and identifiers stay as they are", () => {
  const text = `task-${SOME}${SOME} risk-based sk-folding-cube sk-toggleable__label-arrow sk-learn
    e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 AKIATHING eyJust.some.words
    npm_config_registry ghp_ github_pattern AIzawa -----BEGIN CERTIFICATE-----MIIB-----END CERTIFICATE-----
    grep -e '-----BEGIN RSA PRIVATE KEY-----' file
    headers["authorization"] = authHeader; const h = { "x-api-key": apiKey, authorization: getToken(request) };
    "Authorization: Bearer \${token}" 'x-api-key: $KEY' "x-api-key": "{{ key }}" Authorization: Bearer <token>
    the bearer of this letter; authorization: token is missing`;
  equal(boundRedactor().redact(text), text);
});

Deno.test("values of authorization headers are redacted in headers, JSON and program text", () => {
  const { redact } = boundRedactor();
  const cases = {
    "Authorization: Bearer abc.def-123": `Authorization: Bearer ${REDACTED}`,
    "authorization: Basic dXNlcjpwYXNz\r\nHost: x": `authorization: Basic ${REDACTED}\r\nHost: x`,
    '{"Authorization":"Bearer abc123"}': `{"Authorization":"Bearer ${REDACTED}"}`,
    '{\\"authorization\\": \\"Bearer abc123\\"}': `{\\"authorization\\": \\"Bearer ${REDACTED}\\"}`,
    "headers={'Authorization': f'token abc123'}": `headers={'Authorization': f'token ${REDACTED}'}`,
    "curl -H 'x-api-key: abc-123' url": `curl -H 'x-api-key: ${REDACTED}' url`,
    '"x-api-key": "abc-123"': `"x-api-key": "${REDACTED}"`,
    "X-Goog-Api-Key: abc-123": `X-Goog-Api-Key: ${REDACTED}`,
    [`sent Bearer ${SOME}`]: `sent Bearer ${REDACTED}`,
  };
  for (const [text, expected] of Object.entries(cases)) equal(redact(text), expected);
});

Deno.test("private keys are redacted as blocks, also inside JSON and when their end was cut off", () => {
  const { redact } = boundRedactor();
  const body = (SOME + SOME + "/+AbCd\n").repeat(6);
  for (const type of ["PRIVATE KEY", "RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"]) {
    const pem = `-----BEGIN ${type}-----\nProc-Type: 4,ENCRYPTED\n\n${body}-----END ${type}-----`;
    equal(redact(`a ${pem}\nb`), `a ${REDACTED}\nb`);
    equal(redact(JSON.stringify({ pem, b: 1 })), `{"pem":"${REDACTED}","b":1}`);
    equal(redact(`${pem}\n${pem}`), `${REDACTED}\n${REDACTED}`);
  }
  equal(redact(`-----BEGIN PRIVATE KEY-----\n${body}[… 9 lines left out]`), `${REDACTED}\n[… 9 lines left out]`);
});

Deno.test("redacting twice changes nothing more", () => {
  const redactor = new Redactor(["given-secret"]);
  const pieces = fc.constantFrom(
    ...Object.values(SHAPED),
    "given-secret",
    "Authorization: Bearer ",
    "x-api-key: ",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    SOME,
    " ",
    '"',
    "\n",
    ":",
  );
  fc.assert(fc.property(fc.array(pieces), (pieces) => {
    const once = redactor.redact(pieces.join(""));
    equal(redactor.redact(once), once);
  }));
});

Deno.test("hostile texts of a megabyte take no quadratic time", () => {
  // A quadratic pattern would need hours here, not the second or so that all of them take.
  const redactor = new Redactor(["prefix-prefix-1", "prefix-prefix-2"]);
  const units = [
    "x",
    "-",
    " ",
    "\\",
    "sk-",
    "-eyJ",
    "\\neyJ",
    "eyJaaaaaaaa.",
    "%20",
    "prefix-",
    "authorization: ",
    "bearer   ",
  ]
    .concat(
      "x-api-key: ",
      "-----BEGIN PRIVATE KEY-----",
      "-----BEGIN PRIVATE KEY-----\n" + SOME,
      "-----END ",
      "://a:b",
      "AKIA",
    );
  for (const unit of units) {
    const text = unit.repeat(1_000_000 / unit.length);
    ok(redactor.redact(text).length > 0);
    secretsIn({ NAME: text });
  }
});

Deno.test("redactDeep() redacts strings, names and what stands under secret names", () => {
  const redactor = new Redactor(["given-secret"]);
  const value = {
    command: "echo given-secret",
    list: ["a", { "x given-secret": 1 }],
    env: { GITHUB_TOKEN: "anything", password: "x", apiKeys: ["one", "two"], nested: { token: { value: "free" } } },
    kept: {
      api_key: "",
      token: "${TOKEN}",
      secret: "{{ secret }}",
      password: 12345678,
      AUTH: "Bearer $KEY",
      pin_token: "42",
    },
    logprobs: [{ token: "Hello", logprob: -0.1 }],
    max_tokens: "many",
    nothing: null,
  };
  deepEqual(
    redactor.redactDeep(value),
    {
      command: `echo ${REDACTED}`,
      list: ["a", { [`x ${REDACTED}`]: 1 }],
      env: {
        GITHUB_TOKEN: REDACTED,
        password: REDACTED,
        apiKeys: [REDACTED, REDACTED],
        nested: { token: { value: "free" } },
      },
      kept: value.kept,
      logprobs: value.logprobs,
      max_tokens: "many",
      nothing: null,
    } as unknown as typeof value,
  );
  equal(value.command, "echo given-secret");
});

Deno.test("redactDeep() returns the same object when nothing changed, and shares what did not", () => {
  const redactor = new Redactor(["given-secret"]);
  const clean = { a: [1, "two", { three: null }], date: new Date(0), bytes: new Uint8Array(3) };
  equal(redactor.redactDeep(clean), clean);
  const mixed = { clean, dirty: "given-secret" };
  equal(redactor.redactDeep(mixed).clean, clean);
});

Deno.test("redactDeep() survives what JSON may hold: __proto__, great depth; and cycles", () => {
  const redactor = new Redactor(["given-secret"]);
  const redacted = redactor.redactDeep(JSON.parse('{"__proto__":{"a":"given-secret"}}'));
  equal(JSON.stringify(redacted), `{"__proto__":{"a":"${REDACTED}"}}`);
  equal(Object.getPrototypeOf(redacted), Object.prototype);
  const deep = redactor.redactDeep(JSON.parse("[".repeat(100_000) + '"given-secret"' + "]".repeat(100_000)));
  ok(!JSON.stringify(deep).includes("given-secret"));
  const cycle: Record<string, unknown> = { a: "given-secret" };
  cycle.left = cycle.right = cycle;
  deepEqual(redactor.redactDeep(cycle), { a: REDACTED, left: REDACTED, right: REDACTED });
});

function boundRedactor(secrets: string[] = []): { redact(text: string): string } {
  const redactor = new Redactor(secrets);
  return { redact: (text) => redactor.redact(text) };
}
