/** Answers calls from the recordings in a folder. */
import { join } from "node:path";
import { Failure, messageOf } from "../../failure.ts";
import { Redactor } from "../../safety/secrets.ts";
import type { Answerer, Asked } from "../answerer.ts";
import { Refusal } from "../refusal.ts";
import { differencesOf, similarity, type Sketch, sketchOf } from "./difference.ts";
import { rewriteEvents } from "./event_texts.ts";
import { isWorkerName } from "../names.ts";
import { type Exchange, exchangeNumber, fromBase64, readExchange } from "./exchange.ts";
import { folderPattern, foldersIn, keyOf, type NormalisedRequest, normaliseRequest } from "./normalise.ts";

const MAX_MESSAGE_CHARACTERS = 2000;
const SHOWN_DIFFERENCES = 5;
const NO_BODY = new Set([204, 205, 304]);

interface Recording {
  /** `<worker>/<file>`. */
  readonly name: string;
  readonly exchange: Exchange;
  readonly key: string;
  readonly sketch: Sketch;
  isUsed: boolean;
}

export interface ReplayOptions {
  /** The one of the recorder: what it took out of a recorded request has to be taken out of the one that is asked. */
  readonly redactor?: Redactor;
}

/**
 * Reads all recordings of a folder. Equal requests of a worker get its recordings in their order, each once; what is
 * equal, `normalise.ts` says. A worker without recordings gets those of the only one that has any, if nobody else did.
 * Other calls are refused (`no_recording`), with the nearest recording and what is different.
 *
 * Replies are those that were recorded, in the same pieces, and break off where they did. The names of the folders that
 * a request states as those in which its agent works replace those of the recorded request in the reply, since a model
 * names files with their whole path.
 *
 * Throws a usage `Failure` when the folder has no recordings, or one of them cannot be read.
 */
export async function openReplay(dir: string, { redactor = new Redactor() }: ReplayOptions = {}): Promise<Answerer> {
  const lanes = await readLanes(dir);
  /** Who was answered first; matters where there is only one lane. */
  let first: string | undefined;
  const laneOf = ({ worker }: Asked): readonly Recording[] => {
    first ??= worker;
    const [only = []] = lanes.values();
    return lanes.get(worker) ?? (lanes.size === 1 && first === worker ? only : []);
  };
  return async (asked, signal) => {
    signal.throwIfAborted();
    const lane = laneOf(asked);
    const request = normaliseRequest({
      method: asked.method,
      path: redactor.redact(asked.path),
      search: asked.search,
      body: redactor.redactDeep(asked.json),
    });
    const key = keyOf(request);
    const equal = lane.filter((recording) => recording.key === key);
    const recording = equal.find(({ isUsed }) => !isUsed);
    if (recording === undefined) {
      throw equal.length > 0
        ? usedUp(asked, equal)
        : unknownRequest(asked, request, { key, lane, all: [...lanes.values()].flat() });
    }
    recording.isUsed = true;
    const { response } = recording.exchange;
    if (response.truncated) {
      throw new Refusal("no_recording", `The reply in "${recording.name}" was too long to be recorded`, {
        details: { worker: asked.worker, nearest: recording.name },
      });
    }
    const chunks = relocate(response.body, foldersIn(recording.exchange.request.body), foldersIn(asked.json));
    const init = { status: response.status, headers: response.headers };
    if (NO_BODY.has(response.status)) return new Response(null, init);
    return new Response(streamOf(chunks, response.complete, signal), init);
  };
}

async function readLanes(dir: string): Promise<Map<string, readonly Recording[]>> {
  const lanes = new Map<string, Recording[]>();
  for (const { name: worker, isDirectory } of await entriesOf(dir)) {
    if (!isDirectory || !isWorkerName(worker)) continue;
    const numbered = (await entriesOf(join(dir, worker)))
      .map(({ name }) => ({ name, number: exchangeNumber(name) }))
      .filter(({ number }) => number !== undefined)
      .sort((a, b) => a.number! - b.number!);
    const lane: Recording[] = [];
    for (const { name } of numbered) {
      const exchange = await readExchange(join(dir, worker, name));
      const request = normaliseRequest(exchange.request);
      const key = keyOf(request);
      lane.push({ name: `${worker}/${name}`, exchange, key, sketch: sketchOf(request), isUsed: false });
    }
    if (lane.length > 0) lanes.set(worker, lane);
  }
  if (lanes.size > 0) return lanes;
  throw new Failure("usage", `Cannot replay "${dir}": need a folder with recordings, found none`, {
    hints: [`Record some first, with \`gocore gateway --record ${JSON.stringify(dir)}\``],
  });
}

async function entriesOf(dir: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(dir));
  } catch (cause) {
    throw new Failure("usage", `Cannot replay "${dir}": ${messageOf(cause)}`, {
      hints: ["Name a folder that `gocore gateway --record` has filled"],
      cause,
    });
  }
}

// --- the reply

/** The pieces of the body as bytes, with the asking agent's folders in place of the recorded one's. */
function relocate(
  { kind, chunks }: Exchange["response"]["body"],
  from: readonly string[],
  to: readonly string[],
): readonly (() => Uint8Array)[] {
  if (kind === "base64") return chunks.map((chunk) => () => fromBase64(chunk));
  const asText = (pieces: readonly string[]) => pieces.map((piece) => () => new TextEncoder().encode(piece));
  // Other statements than those that were recorded: nobody can say which folder stands for which.
  if (from.length !== to.length || from.every((folder, index) => folder === to[index])) return asText(chunks);
  const folderOf = new Map(from.map((folder, index) => [folder, to[index]!]));
  const folders = folderPattern(from)!;
  const move = (text: string) => text.replaceAll(folders, (_, folder: string) => folderOf.get(folder)!);
  const whole = chunks.join("");
  const rewritten = rewriteEvents(whole, move);
  // A single document has no events.
  const moved = rewritten === whole ? move(whole) : rewritten;
  return asText(moved === whole ? chunks : [moved]);
}

function streamOf(
  chunks: readonly (() => Uint8Array)[],
  isComplete: boolean,
  signal: AbortSignal,
): ReadableStream<Uint8Array> {
  let next = 0;
  return new ReadableStream({
    pull(controller) {
      if (signal.aborted) return controller.error(signal.reason);
      const chunk = chunks[next++];
      if (chunk !== undefined) controller.enqueue(chunk());
      else if (isComplete) controller.close();
      else controller.error(new Error("The recorded reply breaks off here"));
    },
  }, { highWaterMark: 0 });
}

// --- refusals

function usedUp(asked: Asked, equal: readonly Recording[]): Refusal {
  const names = namesOf(equal);
  return new Refusal(
    "no_recording",
    cut(
      `All ${equal.length} recordings of this request of worker "${asked.worker}" are used: ${names}. ` +
        "Start the replay anew, or record the run again",
    ),
    { details: { worker: asked.worker, recordings: equal.length, used: equal.map(({ name }) => name) } },
  );
}

function unknownRequest(
  asked: Asked,
  request: NormalisedRequest,
  { key, lane, all }: {
    readonly key: string;
    readonly lane: readonly Recording[];
    readonly all: readonly Recording[];
  },
): Refusal {
  const used = lane.filter(({ isUsed }) => isUsed);
  const ofAnother = all.find((recording) => recording.key === key);
  const nearest = ofAnother ?? nearestOf(request, lane.length > 0 ? lane : all);
  const differences = differencesOf(normaliseRequest(nearest.exchange.request), request, SHOWN_DIFFERENCES);
  const lines = differences.map(({ path, recorded, asked }) => `${path}: recorded ${recorded}, asked ${asked}`);
  const usedNames = used.length === 0 ? "" : `: ${namesOf(used)}`;
  const stock = lane.length === 0
    ? "no recordings"
    : `${lane.length} recordings, ${used.length} of them used${usedNames}`;
  const finding = ofAnother === undefined
    ? `The nearest is "${nearest.name}", ${nearest.isUsed ? "used already" : "not used yet"}; it differs in ` +
      lines.join("; ")
    : `"${nearest.name}" is equal, but belongs to worker "${workerOf(nearest)}"`;
  return new Refusal(
    "no_recording",
    cut(
      `No recording fits this request of worker "${asked.worker}" (${asked.method} ${asked.path}, model ${asked.model}). ` +
        `The worker has ${stock}. ${finding}`,
    ),
    {
      details: {
        worker: asked.worker,
        recordings: lane.length,
        used: used.map(({ name }) => name),
        nearest: nearest.name,
        differences,
      },
    },
  );
}

function nearestOf(request: NormalisedRequest, candidates: readonly Recording[]): Recording {
  const sketch = sketchOf(request);
  // Of equally similar ones an unused one: it could still be meant.
  const scored = [...candidates.filter(({ isUsed }) => !isUsed), ...candidates.filter(({ isUsed }) => isUsed)]
    .map((recording) => ({ recording, score: similarity(recording.sketch, sketch) }));
  return scored.reduce((best, candidate) => candidate.score > best.score ? candidate : best).recording;
}

function workerOf({ name }: Recording): string {
  return name.slice(0, name.indexOf("/"));
}

const SHOWN_NAMES = 10;

function namesOf(recordings: readonly Recording[]): string {
  const names = recordings.map(({ name }) => name);
  return names.length <= SHOWN_NAMES ? names.join(", ") : `${names.slice(0, SHOWN_NAMES).join(", ")} and more`;
}

const cut = (text: string) =>
  text.length <= MAX_MESSAGE_CHARACTERS ? text : `${text.slice(0, MAX_MESSAGE_CHARACTERS - 1).toWellFormed()}…`;
