/** Tells the times that a cron expression means. */

export interface CronTimes {
  /** The first time after `ms`, milliseconds since 1970; null: there is none. */
  next(ms: number): number | null;
}

/**
 * Five parts, or a nickname such as `@daily`; `timezone` undefined: the machine's. What an hour brings twice, or not at
 * all, when clocks are changed comes once. Throws an `Error` that says what is wrong with the expression.
 */
export async function createCron(expression: string, timezone: string | undefined): Promise<CronTimes> {
  // The library also takes a date for a time that comes once.
  if (!/^@[a-z]+$/i.test(expression) && expression.trim().split(/\s+/).length !== 5) {
    throw new Error(`${expression.trim() === "" ? "nothing" : "another number of parts"} is there`);
  }
  const { Cron } = await import("croner");
  const cron = new Cron(expression, { mode: "5-part", timezone, paused: true });
  return { next: (ms) => cron.nextRun(new Date(ms))?.getTime() ?? null };
}
