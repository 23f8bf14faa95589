/** How this host becomes an agent: its token's file, and a configuration to begin with. */
import { link, mkdir, open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, ZkeepError } from '../catalog/errors.ts';
import { syncFolder } from './restore/export.ts';

/**
 * The code as the service knows it, of what somebody typed: small letters, spaces and
 * the letters that are taken for digits are as good.
 *
 * @throws {ZkeepError} `usage` (`enrol.malformed`).
 * @example codeMeant('k7qw 0o1l-abcd-efgh') // 'K7QW-0011-ABCD-EFGH'
 */
export function codeMeant(text: string): string {
  const letters = text.toUpperCase().replaceAll(/[\s-]/g, '').replaceAll('O', '0').replaceAll(/[IL]/g, '1');
  if (/^[0-9A-HJKMNP-TV-Z]{16}$/.test(letters)) return letters.replaceAll(/.{4}(?=.)/g, '$&-');
  throw new ZkeepError('usage', 'enrol.malformed', 'this is no code', {
    advice: 'it is four groups of four letters and digits, as zkeep-server enroll printed it',
  });
}

/** A token's file that is going to be written: that it can be is known before a code is used up. */
export class TokenFile {
  readonly file: string;
  readonly #partial: string;
  readonly #replace: boolean;

  private constructor(file: string, partial: string, replace: boolean) {
    this.file = file;
    this.#partial = partial;
    this.#replace = replace;
  }

  /**
   * Makes its folder, and room for it.
   *
   * @param replace what is there may go.
   * @throws {ZkeepError} `refused` (`enrol.token-there`) when there is one; `denied` when it cannot be written.
   */
  static async prepare(file: string, replace: boolean): Promise<TokenFile> {
    const partial = `${file}.${process.pid}.partial`;
    try {
      if (!replace && (await isThere(file))) throw tokenThere(file);
      await mkdir(dirname(file), { recursive: true });
      await (await open(partial, 'w', 0o600)).close();
    } catch (thrown) {
      throw thrown instanceof ZkeepError ? thrown : unwritable(file, thrown);
    }
    return new TokenFile(file, partial, replace);
  }

  /**
   * Writes the token, whole or not at all, readable by its owner only, and never over another one unless that was asked.
   *
   * @throws {ZkeepError} as {@link prepare}.
   */
  async write(token: string): Promise<void> {
    try {
      const handle = await open(this.#partial, 'w', 0o600);
      try {
        await handle.writeFile(`${token}\n`);
        await handle.sync();
      } finally {
        await handle.close();
      }
      if (this.#replace) await rename(this.#partial, this.file);
      else await link(this.#partial, this.file);
      await this.giveUp();
      await syncFolder(dirname(this.file));
    } catch (thrown) {
      if (thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST')
        throw tokenThere(this.file);
      throw unwritable(this.file, thrown);
    }
  }

  /** Takes away what was prepared. */
  async giveUp(): Promise<void> {
    await rm(this.#partial, { force: true });
  }
}

/**
 * Writes a configuration to begin with, unless there is one.
 *
 * @returns whether it was written.
 * @throws {ZkeepError} `denied` when it cannot be.
 */
export async function beginConfiguration(file: string, text: string): Promise<boolean> {
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text, { flag: 'wx', mode: 0o644 });
    return true;
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST') return false;
    throw unwritable(file, thrown);
  }
}

/**
 * The configuration to begin with: nothing is backed up by it until its job is taken out of its comment.
 *
 * @param tokenFile named only where it is not the usual one.
 */
export function firstConfiguration(service: string, tokenFile: string | undefined): string {
  const token = tokenFile === undefined ? '' : `token_file = ${JSON.stringify(tokenFile)}\n`;
  return `# What the zkeep agent of this host does. "zkeep agent check" shows what it means,
# agent/daemon/AGENT.md lists every key.

service = ${JSON.stringify(service)}
${token}
# [[job]]
# name = "hourly"
# datasets = ["tank/**", "!tank/scratch/**"]
# schedule = "every hour"
# keep_on_source = 3
#
# [bandwidth]
# zone = "Europe/Berlin"
# limits = [{ days = "mon-fri", hours = "08:00-18:00", limit = "20 MiB/s" }]
`;
}

async function isThere(file: string): Promise<boolean> {
  return await stat(file).then(
    () => true,
    (thrown: Error & { code?: string }) => {
      if (thrown.code === 'ENOENT') return false;
      throw thrown;
    },
  );
}

function tokenThere(file: string): ZkeepError {
  return new ZkeepError('refused', 'enrol.token-there', `there is a token in ${file} already`, {
    advice: '--force replaces it; --token-file names another place',
    facts: { file },
  });
}

function unwritable(file: string, cause: unknown): ZkeepError {
  return new ZkeepError('denied', 'enrol.unwritable', `cannot write ${file}: ${messageOf(cause)}`, {
    advice: 'run it as root, or name a place that this user may write with --token-file',
    facts: { file },
    cause,
  });
}
