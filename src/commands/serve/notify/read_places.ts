/** Reads who is told of what happens: the table `[notifications]` of `mminions.toml`, and the environment. */
import { given } from "../../../config/setting_types.ts";
import { Failure } from "../../../failure.ts";
import type { RunKind } from "../../../http/schemas.ts";
import {
  type LoadedFile,
  messageAddress,
  notifyEvents,
  notifyKinds,
  untrustedFailure,
} from "../../manager/settings_file.ts";

export type NotifyEvent = typeof notifyEvents[number];

const FORMATS = ["webhook", "slack", "discord"] as const;
export type NotifyFormat = typeof FORMATS[number];

export interface NotifySettings {
  /** Each address is a secret. */
  readonly places: readonly { readonly format: NotifyFormat; readonly address: string }[];
  readonly on: ReadonlySet<NotifyEvent>;
  readonly kinds: ReadonlySet<RunKind>;
}

/**
 * Variables come before the file. Throws a usage `Failure` that names the variable, or the file with line and key. A file
 * that merely lies in the current folder tells nobody: it may have come with the project.
 */
export function readNotifySettings(
  { notifications, isNamed, placeOf }: LoadedFile,
  env: Readonly<Record<string, string>>,
): NotifySettings {
  const untrusted = isNamed ? [] : FORMATS.filter((format) => notifications[format] !== undefined);
  if (untrusted.length > 0) throw untrustedFailure(untrusted.map((format) => ["notifications", format]), placeOf);
  return {
    places: FORMATS.flatMap((format) => {
      const address = addressIn(env, format) ?? notifications[format];
      return address === undefined ? [] : [{ format, address }];
    }),
    on: new Set(notifications.on ?? notifyEvents),
    kinds: new Set(notifications.kinds ?? notifyKinds),
  };
}

function addressIn(env: Readonly<Record<string, string>>, format: NotifyFormat): string | undefined {
  const name = `GOCORE_NOTIFY_${format.toUpperCase()}`;
  const address = given(env[name]);
  const result = messageAddress.safeParse(address);
  if (address === undefined || result.success) return address;
  throw new Failure("usage", `Cannot use ${name}: need ${result.error.issues[0]!.message}, found another text`, {
    hints: [`Set it again, for example \`export ${name}=https://HOST/PATH\`, or unset it`],
  });
}
