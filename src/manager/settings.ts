/** What a manager run was told. */

export interface ManagerSettings {
  readonly runId: string;
  /** `{runsRoot}/{runId}`, absolute. */
  readonly folder: string;
  /** The issue's address, or the absolute path of its file. */
  readonly issue: { readonly kind: "url"; readonly url: string } | { readonly kind: "file"; readonly path: string };
  /** The top of a checkout, absolute. */
  readonly repoPath: string;
  /** Ref or commit that candidates are tried on; undefined: the checkout's HEAD. */
  readonly ref: string | undefined;
  /** How many at a time, 1 to 6. */
  readonly workers: number;
  /** Rounds of REPRO_BUILDERs: later ones are told why the earlier candidates failed. */
  readonly rounds: number;
  /** For each worker. */
  readonly workerTimeoutMs: number;
  /** Silence after which a worker is nudged, then started again, then failed; the seed's max(45 s, a third of the timeout). */
  readonly stallMs: number;
  readonly pollIntervalMs: number;
  /** k. */
  readonly validationRuns: number;
  /** From how many matches on a flaky candidate is worth minimizing and triage; it never makes a run `ok`. */
  readonly minMatches: number;
  /** For one run of a candidate. */
  readonly oracleTimeoutMs: number;
  readonly setupTimeoutMs: number;
  readonly pythonVersion: string;
  /** Whether candidates have a network in their runs; their setup commands always have. */
  readonly allowNetwork: boolean;
  readonly minimize: boolean;
  /** Whether a model may propose cuts. */
  readonly semanticCut: boolean;
  readonly bisect: boolean;
  readonly comment: boolean;
  /** Of all processors, used while minimizing. */
  readonly parallel: number;
  readonly workerModel: string | undefined;
  readonly managerModel: string | undefined;
}
