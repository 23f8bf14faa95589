/** The host beside the pool: who it is, what runs on it, and its Lustre where there is one. */
import type { CommandOutput } from '../../catalog/attributes/attributes.ts';
import { type Patience, type Question, questionKinds, versionQuestion } from '../zfs/questions.ts';
import { askAll } from './ask.ts';
import { catFile, isThere } from './files.ts';
import { parameterFiles, SYSCTLS } from './parameters.ts';

/** Modules of which one is there where Lustre runs. */
const LUSTRE_MODULES = ['lustre', 'obdclass', 'lnet'];
const LCTL_PLACES = ['/usr/sbin/lctl', '/sbin/lctl', '/usr/local/sbin/lctl'];
/** The file system type stands third in a line of `/proc/mounts`. */
const LUSTRE_MOUNT = /^\S+ \S+ lustre(_tgt)? /;

/** What the questions to a host depend on. */
export interface HostOptions {
  /** Where its `/` lies. */
  readonly root: string;
  readonly platform: NodeJS.Platform;
  readonly patience?: Patience;
  readonly signal?: AbortSignal | undefined;
}

/** Asks a host about itself. Nothing of it is needed: what fails is kept as failed. */
export async function hostOutputs(options: HostOptions): Promise<CommandOutput[]> {
  const { root, platform, signal } = options;
  const files =
    platform === 'linux' ? [...HOST_FILES, '/sys/module/zfs/version', ...parameterFiles()] : HOST_FILES;
  const read = (await Promise.all(files.map((path) => catFile(path, root)))).filter((found) => !!found);
  const { extra } = questionKinds(options.patience);
  const questions: Question[] = [
    versionQuestion(options.patience),
    extra('uname', '-a'),
    ...(hasHostid(platform, read) ? [extra('hostid')] : []),
    ...(platform === 'freebsd' ? [extra('sysctl', '-i', ...SYSCTLS)] : []),
  ];
  return [...(await askAll(questions, signal)), ...read, ...(await lustreOutputs(options))];
}

/** `/etc/release` is where illumos says what it is. */
const HOST_FILES = ['/etc/os-release', '/etc/release', '/etc/hostid'];

/** Where neither says one, the command `hostid` makes one up from the address, which ZFS never uses. */
function hasHostid(platform: NodeJS.Platform, files: readonly CommandOutput[]): boolean {
  if (platform !== 'linux') return platform === 'sunos';
  return files.some(({ command: [, path], exit, output }) => {
    if (exit !== 0) return false;
    return path === '/etc/hostid' || (path?.endsWith('/spl_hostid') === true && !/^0*\s*$/.test(output));
  });
}

async function lustreOutputs({ root, platform, patience, signal }: HostOptions): Promise<CommandOutput[]> {
  if (platform !== 'linux') return [];
  const { extra } = questionKinds(patience);
  const loaded = await anyThere(
    LUSTRE_MODULES.map((module) => `/sys/module/${module}`),
    root,
  );
  if (!loaded && !(await anyThere(LCTL_PLACES, root))) return [];
  const told = await askAll(
    [extra('lctl', 'get_param', '-n', 'version'), extra('lctl', 'list_nids')],
    signal,
  );
  const files = await Promise.all([
    catFile('/proc/mounts', root, (line) => LUSTRE_MOUNT.test(line)),
    catFile('/etc/ldev.conf', root),
  ]);
  return [...told, ...files.filter((found) => !!found)];
}

async function anyThere(paths: readonly string[], root: string): Promise<boolean> {
  return (await Promise.all(paths.map((path) => isThere(path, root)))).includes(true);
}
