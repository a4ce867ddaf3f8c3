/** Rewrites the texts of a reply, also those that it tells in many small events, such as the arguments of a tool call. */

/** Members that may hold a piece of a text, in the events of all dialects. */
const PIECES = new Set(
  "delta text thinking partial_json content reasoning reasoning_content arguments refusal".split(" "),
);
/** Where they do: OpenAI and Anthropic say `delta`, Gemini's parts go on from event to event. Other texts are whole. */
const PIECE_PLACE = /delta|parts\[\]\d+\{[^{}]*\}text$/;
/** What tells the texts of one reply apart. */
const POSITIONS = ["type", "index", "output_index", "content_index", "summary_index", "item_id", "thought"];
const MAX_DEPTH = 50;

interface Piece {
  /** Where the event stands among the lines. */
  readonly line: number;
  readonly holder: Record<string, unknown>;
  readonly name: string;
  readonly text: string;
}

/**
 * Gives each text of a stream of server-sent events to `rewrite` as a whole, and puts what changed where it began; the
 * events without a change stay as they are, byte for byte. What is no such stream is returned unchanged.
 */
export function rewriteEvents(stream: string, rewrite: (text: string) => string): string {
  if (!/^data:/m.test(stream)) return stream;
  const lines = stream.split("\n");
  const events = new Map<number, unknown>();
  const texts = new Map<string, Piece[]>();
  for (const [line, content] of lines.entries()) {
    if (!content.startsWith("data:")) continue;
    try {
      const event: unknown = JSON.parse(content.slice("data:".length));
      events.set(line, event);
      collect(event, { line, place: "", depth: 0, texts });
    } catch {
      // `[DONE]`, or the end of a reply that broke off.
    }
  }
  const changed = new Set<number>();
  for (const pieces of texts.values()) {
    const before = pieces.map(({ text }) => text).join("");
    const after = rewrite(before);
    if (after === before) continue;
    for (const line of spread(pieces, before, after)) changed.add(line);
  }
  for (const line of changed) {
    lines[line] = `data: ${JSON.stringify(events.get(line))}${lines[line]!.endsWith("\r") ? "\r" : ""}`;
  }
  return lines.join("\n");
}

interface Place {
  readonly line: number;
  readonly place: string;
  readonly depth: number;
  readonly texts: Map<string, Piece[]>;
}

function collect(value: unknown, { line, place, depth, texts }: Place): void {
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return;
  const holder = value as Record<string, unknown>;
  const here = place + (Array.isArray(value) ? "[]" : `{${POSITIONS.map((name) => labelOf(holder[name])).join(" ")}}`);
  for (const [name, member] of Object.entries(holder)) {
    // Elements that name their own position may stand anywhere in the list of an event.
    const inside = Array.isArray(value) && hasIndex(member) ? here : here + name;
    if (typeof member !== "string") {
      collect(member, { line, place: inside, depth: depth + 1, texts });
      continue;
    }
    const key = PIECES.has(name) && PIECE_PLACE.test(inside) ? inside : `${line} ${inside}`;
    const piece = { line, holder, name, text: member };
    const pieces = texts.get(key);
    if (pieces === undefined) texts.set(key, [piece]);
    else pieces.push(piece);
  }
}

function labelOf(position: unknown): string {
  return typeof position === "object" ? "" : String(position ?? "").slice(0, 100);
}

function hasIndex(value: unknown): boolean {
  return typeof value === "object" && value !== null && "index" in value;
}

/** Writes the changed range into the piece in which it begins, and takes it out of the others. Returns their lines. */
function* spread(pieces: readonly Piece[], before: string, after: string): Generator<number> {
  let start = 0;
  while (start < before.length && before[start] === after[start]) start++;
  let tail = 0;
  const most = Math.min(before.length, after.length) - start;
  while (tail < most && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
  const end = before.length - tail;
  const inserted = after.slice(start, after.length - tail);
  let at = 0;
  let isPlaced = false;
  for (const piece of pieces) {
    const next = at + piece.text.length;
    const holdsStart = !isPlaced && (start < next || piece === pieces.at(-1));
    if (holdsStart || isPlaced && at < end) {
      const kept = piece.text.slice(0, Math.max(start - at, 0));
      piece.holder[piece.name] = kept + (isPlaced ? "" : inserted) + piece.text.slice(Math.max(end - at, 0));
      isPlaced = true;
      yield piece.line;
    }
    at = next;
  }
}
