import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostOf } from '../../../../catalog/attributes/parsing/host.ts';
import { output, recorded } from '../printed.ts';

test('a host without a word of it is none', () => {
  assert.equal(hostOf([]), null);
  assert.equal(
    hostOf([output('zfs version', ''), output('hostid', '?\n'), output('zfs get all', 'x')]),
    null,
  );
});

test('uname -a tells name, kernel and, where nothing better does, the system', () => {
  const uname = output('uname -a', 'Linux mds1 6.12.107+deb13-amd64 #1 SMP x86_64 GNU/Linux\n');
  assert.deepEqual(hostOf([uname]), {
    name: 'mds1',
    os: 'Linux 6.12.107+deb13-amd64',
    kernel: '6.12.107+deb13-amd64',
    zfs: { userland: null, module: null },
    hostid: null,
    parameters: {},
    lustre: null,
  });
  const release = output('cat /etc/os-release', 'NAME=x\nPRETTY_NAME="Debian \\"13\\" (trixie)"\n');
  assert.equal(hostOf([uname, release])?.os, 'Debian "13" (trixie)');
  const some = hostOf([output('uname -srm', 'FreeBSD 14.1-RELEASE amd64\n')]);
  assert.deepEqual([some?.name, some?.kernel, some?.os], ['', '14.1-RELEASE', 'FreeBSD 14.1-RELEASE']);
});

test('zfs version says two versions, without their prefixes, in both forms', () => {
  const zfs = { userland: '2.3.9-0+deb13u1', module: '2.3.9-0+deb13u1' };
  assert.deepEqual(hostOf([output('zfs version -j', recorded('zfs-version-j.json'))])?.zfs, zfs);
  const lines = 'zfs-2.2.2-0ubuntu9\nzfs-kmod-2.2.2-0ubuntu9.4\n';
  assert.deepEqual(hostOf([output('zfs version', lines)])?.zfs, {
    userland: '2.2.2-0ubuntu9',
    module: '2.2.2-0ubuntu9.4',
  });
});

test('a host id is 8 hex digits: of the module, else of the file, else of the command; zero is none', () => {
  const command = output('hostid', recorded('hostid.out'));
  const file = output('cat /etc/hostid', Buffer.from([0xfe, 0xca, 0xad, 0x0b]));
  const module = output('cat /sys/module/spl/parameters/spl_hostid', '255\n');
  const unset = output('cat /sys/module/spl/parameters/spl_hostid', '0\n');
  assert.equal(file.encoding, 'base64');
  assert.equal(hostOf([command])?.hostid, '08cbc6ba');
  assert.equal(hostOf([file, command, unset])?.hostid, '0badcafe');
  assert.equal(hostOf([file, command, module])?.hostid, '000000ff');
  assert.equal(hostOf([output('hostid', '00000000\n')])?.hostid, null);
  assert.equal(hostOf([output('cat /etc/hostid', '\u0001\u0000\u0000\u0000')])?.hostid, '00000001');
  assert.equal(hostOf([output('sysctl kern.hostid', 'kern.hostid: 195939070\n')])?.hostid, '0badcafe');
});

test('module parameters come from their files, one by one or together, and from sysctl', () => {
  const folder = '/sys/module/zfs/parameters';
  const host = hostOf([
    output(`cat ${folder}/zfs_txg_timeout`, '5\n'),
    output(`cat ${folder}/zfs_max_recordsize ${folder}/spa_config_path`, '1048576\n/etc/zfs/zpool.cache\n'),
    output(`cat ${folder}/a ${folder}/b`, '1\n'),
    output(`grep -H . ${folder}/zfs_recover`, `${folder}/zfs_recover:0\n`),
    output('sysctl -i vfs.zfs.send', 'vfs.zfs.send.corrupt_data: 0\n'),
  ]);
  assert.deepEqual(host?.parameters, {
    zfs_txg_timeout: '5',
    zfs_max_recordsize: '1048576',
    spa_config_path: '/etc/zfs/zpool.cache',
    zfs_recover: '0',
    'vfs.zfs.send.corrupt_data': '0',
  });
});

test('Lustre tells its version, its NIDs and what is mounted', () => {
  const mounts =
    'proc /proc proc rw 0 0\nmdtpool/mdt0 /mnt/my\\040mdt lustre ro 0 0\nmgspool/mgt /mgt lustre_tgt rw 0 0\n';
  const lustre = hostOf([
    output('lctl get_param -n version', '2.17.57\n'),
    output('lctl list_nids', '10.0.2.15@tcp\n192.168.1.1@o2ib1\n'),
    output('cat /proc/mounts', mounts),
  ])?.lustre;
  assert.deepEqual(lustre, {
    version: '2.17.57',
    nids: ['10.0.2.15@tcp', '192.168.1.1@o2ib1'],
    mounts: [
      { device: 'mdtpool/mdt0', mountpoint: '/mnt/my mdt' },
      { device: 'mgspool/mgt', mountpoint: '/mgt' },
    ],
  });
  const older = hostOf([output('lctl get_param version', 'version=lustre: 2.9.0\nkernel: patchless\n')]);
  assert.equal(older?.lustre?.version, '2.9.0');
  assert.equal(hostOf([output('lctl get_param version', 'version=2.15.5\n')])?.lustre?.version, '2.15.5');
  assert.equal(
    hostOf([output('lctl get_param -n version', 'lustre: 2.9.0\nbuild: x\n')])?.lustre?.version,
    '2.9.0',
  );
});
