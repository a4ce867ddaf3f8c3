/** The paths of Gemini's API, in which the model and the method stand. */

export interface GeminiPath {
  /** As a body would name it, decoded; with `tunedModels/` before the name of a tuned one. */
  readonly model: string;
  /** `generateContent`, `streamGenerateContent`, `countTokens` or whatever else it says. */
  readonly method: string;
  /** What stands before the model, with the slash at its end. */
  readonly before: string;
}

const PATH =
  /^(\/v1(?:alpha|beta)?\d*\/(?:publishers\/google\/)?(?:(?:models\/)|(?=tunedModels\/)))([^:]+):([A-Za-z]+)$/;

/** Undefined for a path of another shape, and for a model that would lead to another path. */
export function readGeminiPath(path: string): GeminiPath | undefined {
  const [, before, encoded, method] = PATH.exec(path) ?? [];
  if (before === undefined || encoded === undefined || method === undefined) return undefined;
  let model: string;
  try {
    model = decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
  if (/[\0-\x1f\x7f\\?#%:]/.test(model)) return undefined;
  if (model.split("/").some((segment) => segment === "" || segment === "." || segment === "..")) return undefined;
  return { model, method, before };
}

/** The path of the same method of another model. */
export function writeGeminiPath({ before, method }: GeminiPath, model: string): string {
  const isTuned = model.startsWith("tunedModels/");
  const place = isTuned ? before.replace(/models\/$/, "") : before.endsWith("models/") ? before : `${before}models/`;
  return `${place}${model.split("/").map(encodeURIComponent).join("/")}:${method}`;
}
