/** What a picture in a request of OpenAI's two formats can cost. */
import type { InputMeter } from "./request_fields.ts";

/** `original` detail is at most 10 000 patches, a token each; every other detail is less. */
const MAX_IMAGE_TOKENS = 10_000;
/** gpt-4o-mini: 2833 and 5667 for each of up to 8 tiles. */
const MAX_MINI_IMAGE_TOKENS = 50_000;

/** `url`: a data URL, whose bytes are in the request; anything else is fetched by the provider. */
export function meterImageUrl(meter: InputMeter, url: unknown, model: unknown): void {
  if (typeof url !== "string") return;
  if (!/^data:image\//i.test(url)) meter.addHiddenInput();
  else meter.addImage(url, String(model).includes("4o-mini") ? MAX_MINI_IMAGE_TOKENS : MAX_IMAGE_TOKENS);
}
