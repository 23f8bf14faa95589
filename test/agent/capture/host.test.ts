/** A host that is a folder of files and some scripts: what is kept of it. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { CommandOutput } from '../../../catalog/attributes/attributes.ts';
import { StandIns } from '../stand-ins.ts';

const standIns = new StandIns();
let root = '';
let hostOutputs: typeof import('../../../agent/capture/host.ts')['hostOutputs'];

before(async () => {
  // The children's search path is made when the module is loaded.
  process.env['PATH'] = standIns.path;
  ({ hostOutputs } = await import('../../../agent/capture/host.ts'));
});
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'zkeep-host-'));
  standIns.forgetCalls();
  standIns.answer('zfs', ['version'], { out: 'zfs-2.3.9\nzfs-kmod-2.3.9\n' });
  standIns.answer('hostid', [], { out: '08cbc6ba\n' });
  standIns.answer('lctl', undefined, { err: 'lctl was not to be asked', exit: 1 });
});
after(() => standIns.end());

function file(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

async function host(platform: NodeJS.Platform = 'linux'): Promise<CommandOutput[]> {
  try {
    return await hostOutputs({ root, platform, patience: { needed: 5_000, extra: 500 } });
  } finally {
    rmSync(root, { recursive: true });
  }
}

const commandsOf = (outputs: readonly CommandOutput[]) => outputs.map(({ command }) => command.join(' '));
const about = (outputs: readonly CommandOutput[], command: string) =>
  outputs.find((output) => output.command.join(' ') === command) ?? assert.fail(`nothing about ${command}`);

describe('what is kept of a host', () => {
  it('is little where there is little', async () => {
    assert.deepEqual(commandsOf(await host()), ['zfs version', 'uname -a']);
  });

  it('is its files as they are, and the parameters that this version has', async () => {
    file('/etc/os-release', 'PRETTY_NAME="Debian"\n');
    file('/sys/module/zfs/parameters/zfs_max_recordsize', '16777216\n');
    file('/sys/module/zfs/parameters/zfs_arc_max', '1\n');
    const outputs = await host();
    assert.deepEqual(commandsOf(outputs), [
      'zfs version',
      'uname -a',
      'cat /etc/os-release',
      'cat /sys/module/zfs/parameters/zfs_max_recordsize',
    ]);
    assert.equal(outputs[3]?.output, '16777216\n');
  });

  it('has a host id only where ZFS has one', async () => {
    file('/sys/module/spl/parameters/spl_hostid', '0\n');
    assert.ok(!commandsOf(await host()).includes('hostid'));
    root = mkdtempSync(join(tmpdir(), 'zkeep-host-'));
    file('/etc/hostid', Buffer.from([0xba, 0xc6, 0xcb, 0x08]));
    const outputs = await host();
    assert.equal(about(outputs, 'hostid').output, '08cbc6ba\n');
    assert.equal(about(outputs, 'cat /etc/hostid').encoding, 'base64');
    root = mkdtempSync(join(tmpdir(), 'zkeep-host-'));
    file('/sys/module/spl/parameters/spl_hostid', '147572410\n');
    assert.ok(commandsOf(await host()).includes('hostid'));
  });

  it('is whole although a command of it hangs or is not there', async () => {
    standIns.answer('zfs', ['version'], { script: 'sleep 30' });
    file('/etc/os-release', 'ID=debian\n');
    const outputs = await host();
    assert.equal(about(outputs, 'zfs version').exit, -1);
    assert.equal(about(outputs, 'cat /etc/os-release').exit, 0);
  });

  it('says what could not be read', async () => {
    mkdirSync(join(root, 'etc/os-release'), { recursive: true });
    const { exit, error } = about(await host(), 'cat /etc/os-release');
    assert.equal(exit, 1);
    assert.match(error ?? '', /EISDIR/);
  });

  it('is bounded, whatever a file holds', async () => {
    file('/etc/os-release', 'x'.repeat(1_000_000));
    const { output, error } = about(await host(), 'cat /etc/os-release');
    assert.equal(output.length, 65_536);
    assert.match(error ?? '', /cut after 65536 bytes/);
  });

  it('is asked in the words of FreeBSD there', async () => {
    standIns.answer('sysctl', undefined, { out: 'kern.hostid: 1\n' });
    const outputs = await host('freebsd');
    assert.ok(commandsOf(outputs).some((command) => command.startsWith('sysctl -i kern.hostid vfs.zfs')));
  });
});

describe('what is kept of Lustre', () => {
  it('is nothing where there is none: lctl is not asked', async () => {
    await host();
    assert.deepEqual(
      standIns.calls.filter((call) => call.startsWith('lctl')),
      [],
    );
  });

  it('is its version, NIDs, mounts and ldev.conf where its module is loaded', async () => {
    mkdirSync(join(root, 'sys/module/lnet'), { recursive: true });
    file('/etc/ldev.conf', 'mds1 - lustrefs-MDT0000 zfs:mdtpool/mdt0\n');
    file(
      '/proc/mounts',
      'tank/a /a zfs rw 0 0\nmdtpool/mdt0 /mnt/mdt0 lustre_tgt rw 0 0\nx /lustre/y ext4 rw 0 0\n',
    );
    standIns.answer('lctl', ['get_param', '-n', 'version'], { out: '2.17.57\n' });
    standIns.answer('lctl', ['list_nids'], { out: '10.0.2.15@tcp\n' });
    const outputs = await host();
    assert.equal(about(outputs, 'lctl get_param -n version').output, '2.17.57\n');
    assert.equal(about(outputs, 'lctl list_nids').output, '10.0.2.15@tcp\n');
    assert.equal(about(outputs, 'cat /proc/mounts').output, 'mdtpool/mdt0 /mnt/mdt0 lustre_tgt rw 0 0\n');
    assert.match(about(outputs, 'cat /etc/ldev.conf').output, /MDT0000/);
  });

  it('is asked for as well where only lctl is there, and may fail', async () => {
    file('/usr/sbin/lctl', '');
    chmodSync(join(root, 'usr/sbin/lctl'), 0o755);
    standIns.answer('lctl', ['list_nids'], { script: 'sleep 30' });
    standIns.answer('lctl', ['get_param', '-n', 'version'], { err: 'no such parameter', exit: 2 });
    const outputs = await host();
    assert.equal(about(outputs, 'lctl list_nids').exit, -1);
    assert.equal(about(outputs, 'lctl get_param -n version').exit, 2);
  });
});
