/** Chooses where a call can go: the upstream that serves its model first, then the fallbacks. */
import type { Dialect } from "./dialect.ts";
import { Refusal } from "./refusal.ts";
import { type GatewaySettings, matchesPattern, type UpstreamSettings } from "./settings.ts";

export interface Target {
  readonly upstream: UpstreamSettings;
  readonly model: string;
}

/**
 * At least one; for a request that names no model, whoever speaks the format. Throws a `Refusal` when nobody serves the
 * model in this format, or only an upstream without its key.
 */
export function targetsOf(
  model: string | undefined,
  dialect: Dialect,
  { upstreams, fallbacks }: Pick<GatewaySettings, "upstreams" | "fallbacks">,
): readonly Target[] {
  const speaking = upstreams.filter(({ dialects }) => dialects.includes(dialect.id));
  const serving = (wanted: string, name?: string) =>
    speaking.filter((upstream) =>
      (name === undefined || upstream.name === name) &&
      (upstream.models.length === 0 || upstream.models.some((pattern) => matchesPattern(pattern, wanted)))
    );
  const first = model === undefined ? speaking : serving(model);
  const usable = (candidates: readonly UpstreamSettings[]) =>
    candidates.find(({ apiKey, keyless }) => apiKey !== undefined || keyless);
  const upstream = usable(first);
  if (upstream === undefined) {
    if (first.length > 0) {
      const { name, keySource } = first[0]!;
      throw new Refusal(
        "forbidden",
        `The gateway has no key for the upstream "${name}"; set ${keySource} where it runs`,
      );
    }
    const what = model === undefined ? "speaks" : `serves the model "${model}" in`;
    throw new Refusal("not_found", `No upstream of this gateway ${what} this format`, { details: { model } });
  }
  if (model === undefined) return [{ upstream, model: "" }];
  const targets: Target[] = [{ upstream, model }];
  const rule = fallbacks.find((candidate) => matchesPattern(candidate.model, model));
  for (const to of rule?.to ?? []) {
    const wanted = to.model ?? model;
    const other = usable(
      serving(wanted, to.upstream).filter((candidate) =>
        !targets.some((target) => target.upstream === candidate && target.model === wanted)
      ),
    );
    if (other !== undefined) targets.push({ upstream: other, model: wanted });
  }
  return targets;
}
