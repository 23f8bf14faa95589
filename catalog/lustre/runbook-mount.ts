/** Steps from the mount on: recovery, OI scrub, LFSCK, what to look at on a client. */
import type { RunbookStep } from './runbook.ts';
import type { RunbookQuestion } from './runbook-question.ts';
import { fsnameOf, mgsOf, placeOf, word } from './runbook-words.ts';

/** The first mount that writes. */
export function mountTarget(question: RunbookQuestion): RunbookStep {
  const { kind, target, source, guid, name } = question;
  const place = placeOf(question);
  const [device, inspect] = [
    word(target),
    `zkeep lustre inspect ${word(source)}${guid ? ` --guid ${guid}` : ''}`,
  ];
  if (kind === 'mgt') {
    return {
      title: 'Mount the MGT',
      commands: [
        `mkdir -p ${place}`,
        `mount -t lustre ${device} ${place}`,
        'lctl dl',
        'lctl get_param mgs.MGS.live.*',
      ],
      expect:
        'A device "MGS" in the state UP, and the file systems that it knows. Then the MDTs, then the OSTs, then ' +
        'clients. Since Lustre 2.17, -t lustre logs that -t lustre_tgt is its name now; it works.',
    };
  }
  return {
    title: 'Mount the target; with abort_recov, or not',
    commands: [
      inspect,
      `mkdir -p ${place}`,
      `mount -t lustre ${device} ${place}`,
      `mount -t lustre -o abort_recov ${device} ${place}   # instead, not afterwards`,
      `lctl get_param -n ${kind === 'mdt' ? 'mdt' : 'obdfilter'}.${word(name)}.recovery_status`,
    ],
    expect:
      'The MGS first, then MDTs, then OSTs. Without abort_recov the target waits for the clients that its ' +
      'last_rcvd names (inspect counts them), usually up to 5 minutes, and then ends "COMPLETE". Since Lustre ' +
      '2.17, -t lustre logs that -t lustre_tgt is its name now; it works.',
    warn:
      'abort_recov ends the waiting at once and throws away what live clients could replay; without it, clients ' +
      'that are still mounted may replay newer requests onto the older state. With all clients unmounted, ' +
      'abort_recov costs nothing.',
  };
}

/** `osd-zfs` takes the received dataset for a copied one (`osd_scrub.c`), and it is right to look. */
export function watchScrub({ name }: RunbookQuestion): RunbookStep {
  return {
    title: 'Let the OI scrub run: it begins by itself',
    commands: [`lctl get_param -n osd-zfs.${word(name)}.oi_scrub`],
    expect:
      '"status: completed" with "updated: 0": numbers of objects survive a receive, so it finds all right. The ' +
      'target serves meanwhile. -o noscrub at the mount puts it off.',
  };
}

/** Where MDT and OSTs are not of one moment, LFSCK says and mends. */
export function runLfsck(question: RunbookQuestion): RunbookStep {
  const mdt = `${fsnameOf(question)}-MDT0000`; // with -A it runs on all the others too
  return {
    title: 'Run LFSCK: first only to see, then to repair',
    commands: [
      `lctl lfsck_start -M ${mdt} -A -t all -r -n on`,
      `lctl lfsck_query -M ${mdt}`,
      `lctl lfsck_start -M ${mdt} -A -t all -r -n off -o`,
      `lctl lfsck_query -M ${mdt}`,
    ],
    expect:
      'With -n on it changes nothing and counts: "inconsistent_dangling" are files deleted since the snapshot, ' +
      'whose objects are gone. Look at the counts before the second run, which links objects without a file into ' +
      '.lustre/lost+found (-o). Files without objects stay as they are; -c would make empty ones.',
    ...(question.kind === 'mdt' && {
      warn: 'LFSCK cannot bring back what the OSTs have cleaned up: count the objects and choose a way before the mount.',
    }),
  };
}

/** What users will ask. */
export function checkClients(question: RunbookQuestion): RunbookStep {
  const fs = fsnameOf(question);
  return {
    title: 'Look at it from a client, then let the users in',
    commands: [
      `mkdir -p /mnt/${fs}; mount -t lustre ${mgsOf(question)}:/${fs} /mnt/${fs}`,
      `lfs df -h /mnt/${fs}; lfs check all`,
      `find /mnt/${fs} -xdev -type f -newermt '1 day ago' -print0 | head -z -n 200 | xargs -0 -r md5sum >/dev/null`,
    ],
    expect:
      'All OSTs and MDTs are there and active. Files made after the snapshot are missing; files deleted since are ' +
      'there again and give ENOENT when read; files changed in place show their newer data.',
  };
}

/** The restored target has its snapshots' GUIDs, so the next backup is an increment. */
export function backUpAgain({ target }: RunbookQuestion): RunbookStep {
  return {
    title: 'Back it up again: the chain goes on',
    commands: [`zkeep backup ${word(target)}`],
    expect: 'An increment from the snapshot that was restored.',
  };
}
