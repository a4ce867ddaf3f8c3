/** Decides by its text whether a shell command may run: parsed as a shell does it, on every branch, with its paths. */
import { createPlaces } from "./command_policy/places.ts";
import type { CommandRule, PolicyVerdict } from "./command_policy/rules.ts";
import { ScriptWalk } from "./command_policy/script_walk.ts";
import { ShellState } from "./command_policy/shell_state.ts";
import type { ResolveLink } from "./path_scope.ts";

export interface CommandVerdict {
  readonly verdict: PolicyVerdict;
  /** The built-in rule's name, the `match` of a configured one, or `default` for what nothing speaks against. */
  readonly rule: string;
  /** A sentence without a full stop. */
  readonly reason: string;
}

export interface CommandPolicyContext {
  /** Where commands start, absolute. */
  readonly cwd: string;
  /** The folders in which commands may write and delete, absolute. */
  readonly roots: readonly string[];
  readonly home: string;
  /** The variables that commands start with, as far as they are known. */
  readonly variables?: Readonly<Record<string, string>>;
  readonly resolveLink: ResolveLink;
}

export interface CommandPolicy {
  /** The strictest verdict on anything that the command would do. What is not understood is `confirm`. Never throws. */
  judge(command: string): CommandVerdict;
}

const STRICTNESS: Readonly<Record<PolicyVerdict, number>> = { allow: 0, confirm: 1, block: 2 };
const NOTHING: CommandVerdict = { verdict: "allow", rule: "default", reason: "Nothing speaks against it" };

/**
 * A policy, not a sandbox: it stops what a careless agent does to the machine, and cannot see what a program that it
 * allows does by itself. The first configured rule that matches a command decides about it.
 */
export function createCommandPolicy(rules: readonly CommandRule[], context: CommandPolicyContext): CommandPolicy {
  const { cwd, home, variables } = context;
  const places = createPlaces(context);
  return {
    judge(command) {
      const walk = new ScriptWalk({ places, rules });
      walk.run(command, new ShellState({ ...variables, HOME: home, PWD: cwd }));
      let worst = NOTHING;
      for (const finding of walk.findings) {
        if (STRICTNESS[finding.verdict] > STRICTNESS[worst.verdict]) worst = finding;
      }
      return worst;
    },
  };
}
