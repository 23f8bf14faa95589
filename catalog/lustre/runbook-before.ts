/** Steps before the first mount: what was restored, the host, versions, NIDs, a look that changes nothing. */
import type { RunbookStep } from './runbook.ts';
import type { RunbookQuestion } from './runbook-question.ts';
import { fsnameOf, isOlder, mgsOf, placeOf, poolOf, word } from './runbook-words.ts';
import { registrationInWords } from './service-name.ts';

/** The properties make a dataset a target; Lustre's own tool reads them. */
export function lookAtProperties(question: RunbookQuestion): RunbookStep {
  const { kind, state, service, target, name, fsname } = question;
  const several =
    kind === 'mdt'
      ? `If ${fsnameOf(question)} has several MDTs, all of them must come from one set (zkeep restore --set).`
      : undefined;
  const unregistered =
    state === 'registered'
      ? undefined
      : state === null
        ? `The service name ${word(service)} is none that Lustre writes.`
        : `The service name ${word(service)} is not in the registered state: ${registrationInWords(state)}.`;
  return withWarning([unregistered, several], {
    title: 'See that the restored dataset is the target that it was',
    commands: [`zfs get -s local,received all ${word(target)}`, `tunefs.lustre --dryrun ${word(target)}`],
    expect:
      `"Target: ${name}"${fsname === null ? '' : `, "Lustre FS: ${fsname}"`} and the parameters that were ` +
      'stored; the lustre:* properties have the source "local". --dryrun changes nothing.',
  });
}

/** Lustre reads what newer versions wrote as little as ZFS does. */
export function sameVersions({ stored, here }: RunbookQuestion): RunbookStep {
  const warnings = (['lustre', 'zfs'] as const).map((part) => {
    const [before, after] = [stored[part], here?.[part] ?? null];
    if (before === null || after === null || !isOlder(after, before)) return undefined;
    const called = part === 'lustre' ? 'Lustre' : 'ZFS';
    return `${called} here is ${after}, older than the ${before} that wrote this: install ${before} or newer.`;
  });
  return withWarning(warnings, {
    title: 'See that Lustre and ZFS are not older than they were',
    commands: ['lctl get_param -n version', 'zfs version'],
    expect: `Lustre ${stored.lustre ?? '(not stored)'} or newer, ZFS ${stored.zfs ?? '(not stored)'} or newer, and Lustre's osd-zfs built for this ZFS.`,
  });
}

/** A pool that two hosts write to is lost. */
export function readyHost(question: RunbookQuestion): RunbookStep {
  const { failover, multihost, here } = question;
  const pool = poolOf(question);
  const warnings = [
    here !== null && here.hostid === null
      ? 'This host has no hostid: run zgenhostid and load the spl module again (or boot) before multihost=on.'
      : undefined,
    failover !== null && multihost !== 'on'
      ? 'Another host may take this target over (failover.node), and the stored pool did not have multihost=on.'
      : undefined,
  ];
  return withWarning(warnings, {
    title: 'Make the host ready: hostid, multihost, no automatic import',
    commands: [
      'hostid; cat /etc/hostid | od -An -tx4',
      `zpool set multihost=on ${pool}`,
      `zpool set cachefile=none ${pool}`,
      `zpool get multihost,cachefile ${pool}`,
    ],
    expect:
      'A hostid other than 00000000 that no other server has. Under a cluster manager, leave the pool exported ' +
      'and let it import the pool. The old hardware must not come back: one target of a name may exist once.',
  });
}

/** What the configuration logs say of addresses; nothing to do where they stay. */
export function settleNids(question: RunbookQuestion): RunbookStep[] {
  const { here, stored, mgs } = question;
  if (here && stored.nids.length > 0 && stored.nids.every((nid) => here.nids.includes(nid))) {
    return [
      {
        title: 'NIDs are the same as before: the configuration stays as it is',
        commands: ['lctl list_nids'],
        expect: `${stored.nids.map(word).join(', ')}: nothing needs to be changed.`,
      },
    ];
  }
  return [replaceNids(question), ...(mgs ? [renameMgs(question)] : [])];
}

function replaceNids(question: RunbookQuestion): RunbookStep {
  const { mgs, name, stored, here, kind } = question;
  const fs = fsnameOf(question);
  const nids = here && here.nids.length > 0 ? word(here.nids.join(',')) : 'NEW_NID';
  const place = placeOf(question);
  const replaced =
    kind === 'mgt'
      ? [
          `lctl replace_nids ${fs}-MDT0000 NEW_NID_OF_MDT0000`,
          `lctl replace_nids ${fs}-OST0000 NEW_NID_OF_OST0000`,
        ]
      : [`lctl replace_nids ${word(name)} ${nids}`];
  const mount = mgs
    ? [`mkdir -p ${place}`, `mount -t lustre -o nosvc ${word(question.target)} ${place}`]
    : [];
  return {
    title: mgs
      ? 'If a server has a new NID: start only the MGS, and replace the NIDs'
      : 'If this server has a new NID: replace it, on the host of the MGS',
    commands: ['lctl list_nids', ...mount, ...replaced, ...(mgs ? [`umount ${place}`] : [])],
    expect:
      `Before: ${stored.nids.length > 0 ? stored.nids.map(word).join(', ') : 'not stored'}. All targets and clients ` +
      'must be unmounted, only the MGS mounted (-o nosvc). The logs keep their parameters, the old ones stay as ' +
      '*.bak. Once for each target whose address changed; skip it where none did.',
    warn:
      'Try this before tunefs.lustre --writeconf, which must run on every target and forgets all that was set ' +
      'with lctl conf_param, and the OST pools.',
  };
}

/** Every target knows the MGS by a property of its own. */
function renameMgs(question: RunbookQuestion): RunbookStep {
  return {
    title: 'If the MGS itself has a new NID: tell every target, on its host',
    commands: ['zfs set lustre:mgsnode=NEW_MGS_NID POOL/DATASET', 'tunefs.lustre --dryrun POOL/DATASET'],
    expect: `"Parameters: mgsnode=NEW_MGS_NID" for every MDT and OST${question.fsname === null ? '' : ` of ${fsnameOf(question)}`}; clients mount from the new NID.`,
  };
}

/** All of the file system, without a write to any target. */
export function firstLook(question: RunbookQuestion): RunbookStep {
  const { mgs, target } = question;
  const fs = fsnameOf(question);
  const place = placeOf(question);
  const ost = `/mnt/${fs}-OST0000`;
  const [management, managed] = mgs
    ? [[], '']
    : [['mount -t lustre -o rdonly_dev MGTPOOL/MGT /mnt/mgt'], ' /mnt/mgt'];
  return {
    title: 'A first look that destroys nothing',
    commands: [
      `mkdir -p ${place} ${ost} /mnt/look${managed}`,
      ...management,
      `mount -t lustre -o rdonly_dev ${word(target)} ${place}`,
      `mount -t lustre -o rdonly_dev OSTPOOL/OST ${ost}`,
      `mount -t lustre -o ro ${mgsOf(question)}:/${fs} /mnt/look`,
      'ls -l /mnt/look; lfs df /mnt/look',
      `umount /mnt/look; umount ${ost} ${place}${managed}`,
    ],
    expect:
      'The tree as it was at the snapshot. Nothing is written, no object is destroyed, and further increments ' +
      'can still be received. Mount every target so, each on its host, not only this one.',
    warn: 'Only with rdonly_dev on all of them: an OST that may write may also clean up, see below.',
  };
}

function withWarning(
  warnings: readonly (string | undefined)[],
  step: Omit<RunbookStep, 'warn'>,
): RunbookStep {
  const warn = warnings.filter((each) => each !== undefined).join(' ');
  return warn === '' ? step : { ...step, warn };
}
