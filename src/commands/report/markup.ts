/** HTML that cannot be broken by what is put into it: a template whose values are escaped. */
import { escapeTerminal } from "../../safety/escape_terminal.ts";

/** Made by `markup` alone, or of what is no text of others. */
export class Markup {
  constructor(readonly text: string) {}
}

export type MarkupValue = string | number | Markup | readonly MarkupValue[];

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * Values stand where text does, or between the quotes of an attribute that holds no address and no program. Whatever has
 * an effect on a page or its reader, such as control characters and those that change the order of others, is visible.
 */
export function markup(strings: TemplateStringsArray, ...values: readonly MarkupValue[]): Markup {
  let text = strings[0]!;
  values.forEach((value, index) => text += textOf(value) + strings[index + 1]!);
  return new Markup(text);
}

function textOf(value: MarkupValue): string {
  if (value instanceof Markup) return value.text;
  if (Array.isArray(value)) return value.map(textOf).join("");
  return escapeTerminal(String(value).toWellFormed().replaceAll("\r\n", "\n"))
    .replaceAll(/[&<>"']/g, (character) => ENTITIES[character]!);
}
