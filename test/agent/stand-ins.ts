/** Scripts that stand in for `zfs`, `zpool`, `zdb`, `lctl` and the like: they answer with given words and note how they were called. */
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** What a command does when it is called with these very words. */
export interface Answer {
  readonly out?: string | Uint8Array;
  readonly err?: string;
  readonly exit?: number;
  /** Instead of all that: lines for `/bin/sh`, with the words as `$@`. */
  readonly script?: string;
}

const SCRIPT = `#!/bin/sh
here=$(dirname "$0"); name=$(basename "$0")
printf '%s %s\\n' "$name" "$*" >>"$here/calls"
at="$here/$name-$(printf '%s' "$*" | sha256sum | cut -c1-16)"
[ -e "$at" ] || at="$here/$name-else"
[ -e "$at" ] || { echo "stand-in $name has no answer to: $*" >&2; exit 64; }
. "$at"
`;

export class StandIns {
  readonly folder = mkdtempSync(join(tmpdir(), 'zkeep-stand-ins-'));

  /** The search path with the stand-ins before everything else. */
  get path(): string {
    return `${this.folder}${delimiter}${process.env['PATH'] ?? ''}`;
  }

  /**
   * Lets a program answer so when it is called with these words; without words, whenever nothing else fits.
   *
   * @example standIns.answer('zfs', ['version'], { out: 'zfs-2.3.9\n' })
   */
  answer(program: string, words: readonly string[] | undefined, answer: Answer): void {
    const file = join(this.folder, program);
    if (!existsSync(file)) {
      writeFileSync(file, SCRIPT);
      chmodSync(file, 0o755);
    }
    const key = words === undefined ? 'else' : digestOf(words.join(' '));
    const at = join(this.folder, `${program}-${key}`);
    writeFileSync(`${at}.out`, answer.out ?? '');
    writeFileSync(`${at}.err`, answer.err ?? '');
    const told = `cat '${at}.err' >&2; cat '${at}.out'; exit ${answer.exit ?? 0}\n`;
    writeFileSync(at, answer.script ?? told);
  }

  /** The commands that were run, a line each, in their order. */
  get calls(): string[] {
    const file = join(this.folder, 'calls');
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
  }

  forgetCalls(): void {
    rmSync(join(this.folder, 'calls'), { force: true });
  }

  end(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
