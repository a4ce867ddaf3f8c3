/** The requests of three agents, in the shape in which they were sent, shortened; what differs from run to run is given. */

export interface Run {
  readonly folder: string;
  readonly home: string;
  readonly port: number;
  readonly session: string;
  /** `2026-11-21`, `Saturday, November 21, 2026`, `Sat Nov 21 17:15:17 UTC 2026`, `Nov 21 17:15`. */
  readonly day: string;
  readonly longDay: string;
  readonly clock: string;
  readonly listed: string;
  readonly commit: string;
  readonly pid: number;
  readonly seconds: string;
  readonly kernel: string;
  readonly owner: string;
}

const listing = ({ listed, owner }: Run, links: number) =>
  [
    `total ${links * 4}`,
    `drwxr-xr-x ${links} ${owner} 4096 ${listed} .`,
    `drwxr-xr-x 8 ${owner} ${links * 100} ${listed} .git`,
    `-rw-r--r-- 1 ${owner}    3 ${listed} made_by_agent.txt`,
  ].join("\n");

const output = (run: Run) =>
  `${listing(run, run.pid % 7)}\n${run.clock}\n${run.commit} first\n${run.kernel}\n` +
  `${"=".repeat(20 - run.seconds.length)} no tests ran in ${run.seconds}s ${"=".repeat(20)}\n`;

/** codex 0.169.0, `gpt-5.5`. */
export const codex = (run: Run, task = "create the file") => ({
  model: "gpt-5.5",
  stream: true,
  input: [
    {
      type: "message",
      id: `msg_${run.session}`,
      role: "developer",
      content: [{
        type: "input_text",
        text: `- \`r0\` = \`${run.home}/skills/.system\`\n- imagegen (file: r0/imagegen/SKILL.md)`,
      }],
    },
    {
      type: "message",
      role: "user",
      content: [{
        type: "input_text",
        text: `<environment_context>\n  <cwd>${run.folder}</cwd>\n  <shell>bash</shell>\n  <current_date>${run.day}` +
          `</current_date>\n  <filesystem><workspace_roots><root>${run.folder}</root></workspace_roots></filesystem>\n` +
          "</environment_context>",
      }, { type: "input_text", text: task }],
    },
    {
      type: "function_call",
      id: `fc_${run.session}`,
      name: "exec_command",
      arguments: '{"cmd":"ls -la; date; git log --oneline"}',
      call_id: "call_0",
    },
    {
      type: "function_call_output",
      id: `fco_${run.session}`,
      call_id: "call_0",
      output: `Chunk ID: ${run.commit.slice(0, 6)}\nWall time: 0${run.seconds} seconds\nProcess exited with code 0\n` +
        `Original token count: ${run.folder.length}\nOutput:\n${run.folder}\n${output(run)}`,
    },
  ],
  tools: [{ type: "function", name: "exec_command", parameters: { properties: { user: { type: "string" } } } }],
  store: false,
  include: ["reasoning.encrypted_content"],
  prompt_cache_key: run.session,
  client_metadata: {
    session_id: run.session,
    "x-codex-turn-metadata": JSON.stringify({
      turn_id: run.session,
      workspaces: { [run.folder]: { commit: run.commit } },
    }),
  },
});

/** claude 2.1.329. */
export const claude = (run: Run, task = "create the file") => ({
  model: "claude-opus-5-5",
  messages: [
    {
      role: "user",
      content: [
        {
          type: "text",
          text: `<system-reminder>\n# gitStatus\nRecent commits:\n${run.commit} first\n</system-reminder>`,
        },
        { type: "text", text: task },
      ],
    },
    {
      role: "system",
      content: `# Environment\n - Primary working directory: ${run.folder}\n - Is a git repository: true\n` +
        ` - OS Version: ${run.kernel}\n\nToday's date is ${run.day}.`,
    },
    {
      role: "assistant",
      content: [{ type: "tool_use", id: "toolu_01", name: "Read", input: { file_path: `${run.folder}/src/a.ts` } }],
    },
    {
      role: "user",
      content: [{ tool_use_id: "toolu_01", type: "tool_result", content: output(run), is_error: false }],
    },
  ],
  system: [{
    type: "text",
    text: `You have a memory at \`${run.home}/projects/${run.folder.replaceAll(/[^A-Za-z0-9]/g, "-")}/memory/\`.`,
    cache_control: { type: "ephemeral" },
  }],
  metadata: { user_id: JSON.stringify({ device_id: run.commit, session_id: run.session }) },
  max_tokens: 128_000,
  stream: true,
});

/** gemini 0.61.0. */
export const gemini = (run: Run, task = "create the file") => ({
  contents: [
    {
      role: "user",
      parts: [{
        text: `<session_context>\nToday's date is ${run.longDay} (formatted according to the user's locale).\n` +
          `The project's temporary directory is: ${run.home}/tmp/${run.folder.split("/").at(-1)}\n` +
          `- **Workspace Directories:**\n  - ${run.folder}\n- **Directory Structure:**\n\n${run.folder}/\n├───seed.txt\n` +
          "</session_context>",
      }, { text: task }],
    },
    {
      role: "model",
      parts: [{
        functionCall: { id: `run_shell_command_${run.pid * 1_000_000_007}_0`, name: "run_shell_command", args: {} },
      }],
    },
    {
      role: "user",
      parts: [{
        functionResponse: {
          id: `run_shell_command_${run.pid * 1_000_000_007}_0`,
          name: "run_shell_command",
          response: {
            output:
              `<untrusted_context>\nOutput: ${run.folder}\n${output(run)}Server on http://127.0.0.1:${run.port}/\n` +
              `Background PIDs: ${run.pid}, ${run.pid + 1}\nProcess Group PGID: ${run.pid}\n</untrusted_context>`,
          },
        },
      }],
    },
  ],
  systemInstruction: {
    role: "user",
    parts: [{
      text: `- **Private Memory** (\`${run.home}/tmp/${run.folder.split("/").at(-1)}/memory/MEMORY.md\`): notes`,
    }],
  },
  generationConfig: { temperature: 1, thinkingConfig: { thinkingBudget: 8192 } },
});
