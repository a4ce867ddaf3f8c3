/** `gocore report` from its flags to its exit code. */
import { extname, resolve } from "node:path";
import { VERSION } from "../../config/version.ts";
import { EXIT_SUCCESS } from "../../failure.ts";
import { resolveWorkdir } from "../../config/agent_home.ts";
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import { removeTemporaries, writeFileAtomic } from "../../store/atomic_file.ts";
import type { Io } from "../../terminal/io.ts";
import { readRunsRoot } from "../manager/read_settings.ts";
import { readWorkspace } from "../orchestrate/read_options.ts";
import type { ReportDocument } from "./document.ts";
import { findRun } from "./find_run.ts";
import { managerDocument } from "./manager_document.ts";
import { miniDocument } from "./mini_document.ts";
import { readReport, type ReportData } from "./read_report.ts";
import { sessionDocument } from "./session_document.ts";
import { writeHtml } from "./write_html.ts";
import { writeMarkdown } from "./write_markdown.ts";

export interface ReportFlags {
  readonly html?: true;
  readonly md?: true;
  readonly json?: true;
  readonly output?: string;
  readonly runsRoot?: string;
  readonly workspace?: string;
  readonly miniWorkdir?: readonly string[];
}

type Format = "html" | "md" | "json";

/** Throws a usage `Failure` when there is no such run. */
export async function runReport(name: string, flags: ReportFlags, io: Io): Promise<number> {
  const { env, cwd, now, signal } = io;
  io.onHardExit(removeTemporaries);
  const place = await findRun(name, { cwd, now, roots: () => rootsOf(flags, io) });
  const data = await readReport(place, { env, now, signal });
  const text = textOf(data, formatOf(flags), new Date(now()).toISOString());
  if (flags.output === undefined) await io.stdout.write(text);
  else {
    const path = resolve(cwd, flags.output);
    await writeFileAtomic(path, text);
    await io.stderr.write(escapeTerminal(`The report on ${data.id} is in ${path}\n`));
  }
  for (const problem of data.problems) await io.stderr.write(escapeTerminal(`Note: ${problem}\n`));
  return EXIT_SUCCESS;
}

async function rootsOf({ runsRoot, workspace, miniWorkdir = [] }: ReportFlags, { env, cwd }: Io) {
  return {
    runsRoot: await readRunsRoot({ env, cwd, flags: { runsRoot } }),
    workspace: await readWorkspace({ env, cwd, flags: { workspace } }),
    miniWorkdirs: miniWorkdir.length > 0
      ? miniWorkdir.map((path) => resolve(cwd, path))
      : [resolveWorkdir({ env, cwd })],
  };
}

const FORMATS: Readonly<Record<string, Format>> = { ".html": "html", ".htm": "html", ".json": "json" };

function formatOf({ html, md, json, output = "" }: ReportFlags): Format {
  if (html) return "html";
  if (json) return "json";
  return md ? "md" : FORMATS[extname(output).toLowerCase()] ?? "md";
}

function textOf(data: ReportData, format: Format, generatedAt: string): string {
  if (format === "json") return `${JSON.stringify(jsonOf(data, generatedAt), null, 2)}\n`;
  const document = documentOf(data, { version: VERSION, generatedAt });
  return format === "html" ? writeHtml(document) : writeMarkdown(document);
}

function documentOf(data: ReportData, about: Pick<ReportDocument, "version" | "generatedAt">): ReportDocument {
  switch (data.kind) {
    case "session":
      return { ...sessionDocument(data), ...about };
    case "manager":
      return { ...managerDocument(data), ...about };
    case "mini":
      return { ...miniDocument(data), ...about };
  }
}

/** The records as the API has them. */
function jsonOf(data: ReportData, generated_at: string): Record<string, unknown> {
  const { kind, id, problems, record } = data;
  const head = { kind, id, generated_at, version: VERSION, problems, record };
  if (data.kind !== "session") return head;
  const { plan, usage, timeline, diff } = data;
  return { ...head, plan, usage, timeline, diff };
}
