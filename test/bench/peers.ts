/** The others on the same stream: zstd alone, borg and restic, each as its users run it. */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Measured, measure } from './measure.ts';

/** Keeps a stream and gives it back. */
export interface Peer {
  readonly name: string;
  keep(stream: string): Promise<Measured>;
  /** Writes what was kept into a pipe, and from there to `file`. */
  back(file: string): Promise<Measured>;
  clean(): void | Promise<void>;
}

/** The peers that are installed here, each on a folder of its own. */
export function peersHere(folder: string): Peer[] {
  return [zstd(folder), borg(folder), restic(folder)].filter((peer) => has(peer.name.split(' ')[0] ?? ''));
}

/** Whether a program is installed. */
export function has(program: string): boolean {
  return spawnSync('which', [program]).status === 0;
}

function zstd(folder: string): Peer {
  const kept = join(folder, 'stream.zst');
  return {
    name: 'zstd -3 -T2',
    keep: (stream) => measure({ argv: ['zstd', '-q', '-3', '-T2', '-c'], stdin: stream, stdout: kept }),
    back: (file) => measure({ argv: ['zstd', '-q', '-d', '-c', kept], piped: file }),
    clean: () => rmSync(kept, { force: true }),
  };
}

function borg(folder: string): Peer {
  const repository = join(folder, 'borg');
  const env = {
    BORG_BASE_DIR: join(folder, 'borg-home'),
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
  };
  return {
    name: 'borg zstd,3',
    keep: async (stream) => {
      rmSync(repository, { recursive: true, force: true });
      await measure({ argv: ['borg', 'init', '-e', 'none', repository], env });
      const argv = [
        'borg',
        'create',
        '--compression',
        'zstd,3',
        '--stdin-name',
        'stream',
        `${repository}::one`,
        '-',
      ];
      return await measure({ argv, stdin: stream, env });
    },
    back: (file) =>
      measure({ argv: ['borg', 'extract', '--stdout', `${repository}::one`], piped: file, env }),
    clean: () => rmSync(repository, { recursive: true, force: true }),
  };
}

function restic(folder: string): Peer {
  const repository = join(folder, 'restic');
  const env = {
    RESTIC_PASSWORD: 'bench',
    RESTIC_REPOSITORY: repository,
    RESTIC_CACHE_DIR: join(folder, 'restic-cache'),
  };
  return {
    name: 'restic',
    keep: async (stream) => {
      rmSync(repository, { recursive: true, force: true });
      await measure({ argv: ['restic', '-q', 'init'], env });
      const argv = ['restic', '-q', 'backup', '--stdin', '--stdin-filename', 'stream'];
      return await measure({ argv, stdin: stream, env });
    },
    back: (file) => measure({ argv: ['restic', '-q', 'dump', 'latest', 'stream'], piped: file, env }),
    clean: () => rmSync(repository, { recursive: true, force: true }),
  };
}
