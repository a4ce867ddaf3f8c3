/** YAML as PyYAML's safe loader reads it, together with the place of each value in the text. */
import {
  boolYaml11Tag,
  constructFromEvents,
  type Event,
  EVENT_ID,
  NOT_RESOLVED,
  parseEvents,
  SCALAR_STYLE,
  Schema,
  YAML11_SCHEMA,
  YAMLException,
} from "js-yaml";
import { Failure, messageOf } from "../failure.ts";
import { isSecretName } from "../safety/secrets.ts";

export type Mapping = Record<string, unknown>;
export type KeyPath = readonly string[];

/** Both count from 1; columns in UTF-16 units, as editors do. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface YamlSource {
  readonly value: Mapping;
  /** Where the value of this key is (the key, when the value is a block below it); its nearest parent if it has no place. */
  locate(path: KeyPath): Position;
  /** A plain or quoted scalar as it stands in the file, `1.10` and not 1.1. */
  textAt(path: KeyPath): string | undefined;
}

const bool = {
  ...boolYaml11Tag,
  // YAML 1.1 has `y` and `n` as booleans; PyYAML, for which these files were written, has not.
  resolve: (source: string, isExplicit: boolean, tagName: string) =>
    /^[yn]$/i.test(source) ? NOT_RESOLVED : boolYaml11Tag.resolve(source, isExplicit, tagName),
};

/** Settings travel as JSON, so tags of other types (dates, bytes, sets, Python objects) are text or an error. */
const LEFT_OUT = new Set(["timestamp", "binary", "omap", "pairs", "set"].map((name) => `tag:yaml.org,2002:${name}`));
const SCHEMA = new Schema(YAML11_SCHEMA.tags.filter((tag) => !LEFT_OUT.has(tag.tagName))).withTags(bool);

/** Aliases let a small text stand for an endless one; what real files contain is far below this. */
const MAX_NODES = 100_000;

/**
 * Reads a configuration file whose top level is a mapping; an empty one is `{}`. The last of several equal keys counts,
 * as in PyYAML. Throws a `Failure` (usage) with file, line, column and the line's text, unless that names a secret.
 */
export function parseYamlSource(text: string, file: string): YamlSource {
  const { value = {}, ...places } = read(text, file);
  if (!isMapping(value)) {
    throw unreadable(file, positionAt(text, 0), `expected a mapping of keys, found ${describeValue(value)}`, "");
  }
  return { value, ...places };
}

/** Reads a file whose top level is a list, as `parseYamlSource` reads one of keys; the path's first part is an index. */
export function parseYamlList(text: string, file: string): Omit<YamlSource, "value"> & { readonly value: unknown[] } {
  const { value = [], ...places } = read(text, file);
  if (!Array.isArray(value)) {
    throw unreadable(file, positionAt(text, 0), `expected a list, found ${describeValue(value)}`, "");
  }
  return { value, ...places };
}

function read(text: string, file: string): Omit<YamlSource, "value"> & { readonly value: unknown } {
  const { events, value } = attempt(text, file, () => {
    const events = parseEvents(text, {});
    return { events, value: construct(events, text) };
  });
  let places: Place | undefined;
  const placeOf = (path: KeyPath): Place => {
    let place = places ??= placesIn(events, text);
    for (const key of path) {
      const child = place.children.get(key);
      if (child === undefined) return place;
      place = child;
    }
    return place;
  };
  return {
    value: value ?? undefined,
    locate: (path) => positionAt(text, placeOf(path).offset),
    textAt: (path) => placeOf(path).text,
  };
}

/**
 * The value of `-c key=value`: JSON, or a YAML scalar or flow collection (`{a: 1}`, `[x, y]`), or else the text as it is.
 * So templates, patterns and sentences need no quoting.
 */
export function parseYamlValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: that is the usual case.
  }
  const trimmed = text.trim();
  if (trimmed === "" || trimmed.includes("\n")) return text;
  try {
    const events = parseEvents(trimmed, {});
    return isWholeInlineValue(events, trimmed) ? construct(events, trimmed) : text;
  } catch {
    return text;
  }
}

export function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What was found, in the words of a YAML file; short enough for one line. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (isMapping(value)) return "a mapping";
  return typeof value === "string" ? quote(value) : String(value);
}

/** `path:line:column`, as editors and terminals open it. */
export function formatPosition(file: string, { line, column }: Position): string {
  return `${file}:${line}:${column}`;
}

function attempt<T>(text: string, file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof YAMLException)) throw unreadable(file, { line: 1, column: 1 }, messageOf(error), "", error);
    // A missing mark is a complaint about the whole text.
    const { line, column } = error.mark ?? { line: 0, column: 0 };
    // Without the exception as the cause: it quotes the lines around, which may hold secrets.
    throw unreadable(file, { line: line + 1, column: column + 1 }, error.reason, text);
  }
}

function unreadable(file: string, position: Position, finding: string, text: string, cause?: unknown): Failure {
  const line = text.split(/\r\n|\r|\n/, position.line)[position.line - 1]?.trim() ?? "";
  const isSecret = line.match(/[\w-]+/g)?.some(isSecretName) ?? false;
  const inLine = line === "" || isSecret ? "" : ` in ${quote(line)}`;
  return new Failure("usage", `Cannot read the configuration: ${formatPosition(file, position)}: ${finding}${inLine}`, {
    hints: [hintFor(finding)],
    cause,
  });
}

function hintFor(finding: string): string {
  if (finding.startsWith("tab ")) return "Indent with spaces instead of tabs";
  if (/alias/.test(finding)) {
    return "Write the values out; `*name` stands for what `&name` marks, and needs quotes as a text";
  }
  if (/^expected (a mapping of keys|one document)/.test(finding)) {
    return "Write one file of sections, such as `agent:` and `model:`; `.miniswe/configs/live.yaml` has them all";
  }
  return "Correct the file: close each quote and bracket; texts with `: `, ` #` or a leading `{ [ * & ! | > % @` need quotes";
}

function construct(events: Event[], text: string): unknown {
  refuseCollectionKey(events, text);
  const documents = constructFromEvents(events, { source: text, schema: SCHEMA, json: true, maxAliases: 1000 });
  if (documents.length > 1) {
    const second = events.indexOf(events.filter(({ type }) => type === EVENT_ID.DOCUMENT)[1]!);
    YAMLException.throwAt(text, startOf(events[second + 1]), "expected one document, found several (`---`)");
  }
  const value = documents[0];
  if (events.some((event) => event.type === EVENT_ID.ALIAS)) requireFinite(value);
  return value;
}

/** `key: {{ task }}` is a mapping whose key is a mapping: valid YAML, and always a template that wants quotes. */
function refuseCollectionKey(events: readonly Event[], text: string): void {
  const stack: { isMapping: boolean; isKeyNext: boolean }[] = [];
  for (const event of events) {
    if (event.type === EVENT_ID.DOCUMENT) continue;
    if (event.type === EVENT_ID.POP) {
      stack.pop();
      continue;
    }
    const parent = stack.at(-1);
    const isCollection = event.type === EVENT_ID.MAPPING || event.type === EVENT_ID.SEQUENCE;
    if (isCollection && parent?.isMapping && parent.isKeyNext) {
      const finding = "a mapping or list as a key (a template such as `{{ task }}` needs quotes)";
      YAMLException.throwAt(text, startOf(event), finding);
    }
    if (parent !== undefined) parent.isKeyNext = !parent.isKeyNext;
    if (isCollection) stack.push({ isMapping: event.type === EVENT_ID.MAPPING, isKeyNext: true });
  }
}

function startOf(event: Event | undefined): number {
  if (event === undefined) return 0;
  if ("start" in event) return event.start;
  return Math.max(0, "valueStart" in event ? event.valueStart : 0);
}

/** Refuses what aliases can build and no reader can finish: a collection inside itself, and exponential repetition. */
function requireFinite(root: unknown): void {
  const pending = [root];
  let seen = 0;
  while (pending.length > 0) {
    const value = pending.pop();
    if (typeof value !== "object" || value === null) continue;
    const children = Object.values(value);
    seen += children.length;
    if (seen > MAX_NODES) throw new YAMLException(`aliases repeat without end (more than ${MAX_NODES} values)`);
    // One by one: spreading a long list would exceed the stack.
    for (const child of children) pending.push(child);
  }
}

/** Whether the text is one plain or quoted scalar or one flow collection, with nothing before or after it. */
function isWholeInlineValue(events: readonly Event[], text: string): boolean {
  const root = events[1];
  if (events[0]?.type !== EVENT_ID.DOCUMENT || events[0].explicitStart || root === undefined) return false;
  if (root.type === EVENT_ID.SCALAR) {
    if (root.anchorStart !== -1 || root.tagStart !== -1) return false;
    if (root.style === SCALAR_STYLE.PLAIN) return root.valueStart === 0 && root.valueEnd === text.length;
    return /^(["']).*\1$/.test(text);
  }
  return /^(\[.*\]|\{.*\})$/.test(text);
}

interface Place {
  /** Index into the text. */
  offset: number;
  text?: string;
  readonly children: Map<string, Place>;
}

/** The tree of places; made only when an error has to be told. List items have their index as key. */
function placesIn(events: readonly Event[], text: string): Place {
  const root: Place = { offset: 0, children: new Map() };
  const stack: { place: Place; isList: boolean; index: number; key: string | undefined; keyOffset: number }[] = [];
  const enter = (place: Place, isList: boolean) =>
    stack.push({ place, isList, index: 0, key: undefined, keyOffset: 0 });
  const add = (offset: number | undefined, scalar?: string, isKeyable = false): Place => {
    const parent = stack.at(-1);
    if (parent === undefined) return root;
    if (!parent.isList && parent.key === undefined) {
      parent.key = isKeyable ? scalar ?? "" : "";
      parent.keyOffset = offset ?? parent.place.offset;
      return { offset: parent.keyOffset, children: new Map() };
    }
    const key = parent.isList ? String(parent.index++) : parent.key!;
    const place: Place = { offset: offset ?? parent.keyOffset, children: new Map() };
    if (scalar !== undefined) place.text = scalar;
    // The last of equal keys counts.
    parent.place.children.set(key, place);
    parent.key = undefined;
    return place;
  };
  for (const event of events) {
    switch (event.type) {
      case EVENT_ID.DOCUMENT:
        continue;
      case EVENT_ID.MAPPING:
      case EVENT_ID.SEQUENCE: {
        const isFlow = text[event.start] === "{" || text[event.start] === "[";
        enter(add(isFlow ? event.start : undefined), event.type === EVENT_ID.SEQUENCE);
        continue;
      }
      case EVENT_ID.SCALAR: {
        const isBlock = event.style === SCALAR_STYLE.LITERAL_BLOCK || event.style === SCALAR_STYLE.FOLDED_BLOCK;
        if (isBlock || event.valueStart === -1) {
          add(undefined);
          continue;
        }
        const isQuoted = event.style !== SCALAR_STYLE.PLAIN;
        add(event.valueStart - (isQuoted ? 1 : 0), text.slice(event.valueStart, event.valueEnd), true);
        continue;
      }
      case EVENT_ID.ALIAS:
        add(event.anchorStart - 1);
        continue;
      case EVENT_ID.POP:
        stack.pop();
    }
  }
  return root;
}

function positionAt(text: string, offset: number): Position {
  const before = text.slice(0, offset).split(/\r\n|\r|\n/);
  return { line: before.length, column: before.at(-1)!.length + 1 };
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? text.slice(0, 80) + "…" : text);
}
