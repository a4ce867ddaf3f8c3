/** What workers said and ran, as parts of a report that only some want to see. */
import { counted, type Fold } from "./document.ts";
import type { WorkerStory } from "./worker_stories.ts";

export function storyBlocks(stories: readonly WorkerStory[]): Fold[] {
  return stories.map(({ worker, steps, leftOut }) => {
    const commands = steps.filter(({ commands }) => commands.length > 0).length;
    const left: Fold["blocks"] = leftOut === 0
      ? []
      : [{ kind: "text", text: `${leftOut} steps after the first ones are left out.` }];
    return {
      kind: "fold",
      title: worker,
      aside: `${counted(steps.length + leftOut, "step")}, ${commands} of them commands`,
      blocks: [...left, ...steps],
    };
  });
}
