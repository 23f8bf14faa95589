/** Names of time zones in the configuration. */
import type { ZkeepError } from '../../catalog/errors.ts';

/** Passes when it is the name of a time zone that this host knows. */
export function checkZone(zone: string, wrong: (reason: string) => ZkeepError): void {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: zone });
  } catch {
    throw wrong(`is no time zone: ${JSON.stringify(zone)}; write it as "Europe/Berlin"`);
  }
}
