/** Has a model propose shorter versions of the file; whatever goes wrong, the algorithms go on without it. */
import { extname } from "node:path";
import { Failure } from "../../failure.ts";
import { MAX_SCRIPT_BYTES, proposeCuts } from "../../manager/semantic_cut.ts";
import type { Cost } from "../../models/usage.ts";
import type { Io } from "../../terminal/io.ts";
import { createTextModel } from "../create_model.ts";
import type { Subject } from "./subject.ts";

export interface ModelAnswer {
  readonly texts: readonly string[];
  readonly cost: Cost;
}

/** Undefined when there is no answer, which `note` tells. Throws the reason of `signal`, and usage Failures. */
export async function askModel(
  subject: Subject,
  { model: name, shows, io, signal, note }: {
    readonly model: string;
    readonly shows: string;
    readonly io: Pick<Io, "env" | "cwd">;
    readonly signal: AbortSignal;
    note(text: string): void;
  },
): Promise<ModelAnswer | undefined> {
  const [file] = subject.files;
  const [part] = subject.parts;
  if (part?.kind !== "text" || file.encoding !== "utf-8" || part.text.length > MAX_SCRIPT_BYTES) {
    note(`the model is not asked: "${file.name}" is no text of at most ${MAX_SCRIPT_BYTES} characters`);
    return undefined;
  }
  const model = await createTextModel(name, io);
  const request = {
    script: part.text,
    language: extname(file.name).slice(1) || "unknown",
    title: file.name,
    signature: shows,
  };
  try {
    return await proposeCuts(model, request, { signal, onNote: note });
  } catch (error) {
    if (!(error instanceof Failure) || error.kind !== "model") throw error;
    note(`the model gave no proposal: ${error.message}`);
    return undefined;
  }
}
