/** The Debian packages that the S3 tests need; they are installed, or the tests fail saying why. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Installs what is missing of these packages.
 *
 * @throws when it cannot: the tests are never skipped for want of a server.
 */
export async function needPackages(...names: string[]): Promise<void> {
  const missing: string[] = [];
  for (const name of names) if (!(await isInstalled(name))) missing.push(name);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) throw new Error(`the S3 tests need root, to install ${missing.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { env, timeout: 10 * 60_000, maxBuffer: 64 * 1024 * 1024 };
  try {
    await run('apt-get', ['update', '-qq'], options);
    await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], options);
  } catch (cause) {
    throw new Error(`the S3 tests need the Debian packages ${missing.join(' ')}`, { cause });
  }
}

/** Installs the packages unless the command is there, from wherever. */
export async function needCommand(command: string, ...packages: string[]): Promise<void> {
  try {
    await run(command, ['--version']);
  } catch {
    await needPackages(...packages);
  }
}

async function isInstalled(name: string): Promise<boolean> {
  try {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a format of dpkg-query.
    const { stdout } = await run('dpkg-query', ['-W', '-f=${db:Status-Abbrev}', name]);
    return stdout.startsWith('ii');
  } catch {
    return false; // dpkg-query fails for a package that it has never heard of.
  }
}
