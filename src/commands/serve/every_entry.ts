/** All runs that a library has, page by page, so that others have their turn in between. */
import type { Library } from "../../http/ports.ts";
import type { Entry } from "../../http/schemas.ts";

const PAGE = 500;

/** Newest first. What is added meanwhile may be missing, and is told to whoever has subscribed before. */
export async function* everyEntry(library: Pick<Library, "history">): AsyncGenerator<Entry> {
  let cursor: string | undefined;
  do {
    const { entries, next } = library.history({ cursor, limit: PAGE });
    yield* entries;
    cursor = next ?? undefined;
    await new Promise((resolve) => setTimeout(resolve, 0));
  } while (cursor !== undefined);
}
