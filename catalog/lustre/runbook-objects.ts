/**
 * Steps about the objects on the OSTs that a restored MDT does not know of.
 *
 * At the first connection an OST destroys every object above the MDT's
 * `lov_objid`, with data or not, unless there are more than 20,000 of them
 * (`ofd_create_hdl`, `ofd_orphans_destroy` in `lustre/ofd`; seen live).
 */
import { OST_MAX_PRECREATE } from './inspect/object-ids.ts';
import type { RunbookStep } from './runbook.ts';
import type { RunbookQuestion } from './runbook-question.ts';
import { fsnameOf, word } from './runbook-words.ts';

/** What clients still want to replay is newer than what was restored. */
export function stopClients(question: RunbookQuestion): RunbookStep {
  const fs = fsnameOf(question);
  return {
    title: 'Unmount the clients, then the targets that still serve',
    commands: [
      'umount -a -t lustre',
      `lctl get_param -n mdt.${fs}-MDT*.num_exports obdfilter.${fs}-OST*.num_exports`,
    ],
    expect:
      'On every client, then on every server. A client that stays mounted would replay newer requests onto the ' +
      'older state, or be thrown out by abort_recov.',
  };
}

/** The safety net, whatever is decided later. */
export function snapshotOsts(question: RunbookQuestion): RunbookStep {
  return {
    title: 'Take a snapshot of every OST, in any case and before the first mount',
    commands: ['zkeep lustre targets', `zfs snapshot OSTPOOL/OST@before-${word(question.name)}`],
    expect:
      'On every OSS, for each OST that "zkeep lustre targets" lists. With it, what a mount destroys can be had ' +
      'back (zfs rollback); after going back to it, way B below is needed.',
    warn: 'Without these snapshots, the data of all files made since the snapshot of this MDT may be gone for good.',
  };
}

/** The gap, before anything is mounted. */
export function countOrphans(question: RunbookQuestion): RunbookStep {
  const { source, guid } = question;
  const which = guid === null ? '' : ` --guid ${guid}`;
  const fs = fsnameOf(question);
  return {
    title: 'Count the objects that a plain mount would destroy',
    commands: [
      `mount -t zfs -o ro OSTPOOL/OST@before-${word(question.name)} /mnt/ost; od -An -tu8 /mnt/ost/O/SEQUENCE/LAST_ID`,
      `lctl get_param obdfilter.${fs}-OST*.last_id   # instead, on an OST that is mounted with rdonly_dev`,
      `zkeep lustre inspect ${word(source)}${which} --last-id 0=LAST_ID_OF_OST0000 --last-id 1=LAST_ID_OF_OST0001`,
    ],
    expect:
      'The sequence and the last id of each OST as this MDT knows them, and how many objects lie above. None: ' +
      `mount as usual. Up to ${OST_MAX_PRECREATE.toLocaleString('en')} on an OST: they would be destroyed. ` +
      'More: the OST keeps them (so the source; not tried).',
  };
}

/** An OST that is older than its MDTs: nothing of theirs is destroyed, but they know of more than it has. */
export function olderOst(question: RunbookQuestion): RunbookStep {
  const fs = fsnameOf(question);
  return {
    title: 'Know which files an OST that is older than its MDTs can have lost',
    commands: [`lfs find /mnt/${fs} -type f --ost ${word(question.name)}_UUID`],
    expect:
      'On a client, after the mount: the files that have objects on this OST. Objects made after the snapshot ' +
      'are missing or empty, older ones have their contents of then.',
  };
}

/** What can be done about a gap. */
export function threeWays(question: RunbookQuestion): RunbookStep[] {
  const { target } = question;
  const write =
    'python3 -c \'import struct,sys; f=open(sys.argv[1],"r+b"); f.seek(8*int(sys.argv[2])); f.write(struct.pack("<Q",int(sys.argv[3])))\'';
  return [
    {
      title:
        'Way A of three, when there are objects above: look, copy out what is needed, and do not mount for writing',
      commands: ['# the first look above, with -o rdonly_dev on every target'],
      expect: 'Nothing is destroyed, and nothing can be written: enough to fetch files from this snapshot.',
    },
    {
      title:
        "Way B: raise the MDT's ids above those of the OSTs, then mount, and let LFSCK gather the objects",
      commands: [
        `mkdir -p /mnt/raw; mount -t zfs -o zfsutil ${word(target)} /mnt/raw`,
        'cp -p /mnt/raw/lov_objid ./lov_objid.before; od -An -tu8 /mnt/raw/lov_objid /mnt/raw/lov_objseq',
        `${write} /mnt/raw/lov_objid OST_INDEX LAST_ID`,
        'od -An -tu8 /mnt/raw/lov_objid; umount /mnt/raw',
      ],
      expect:
        'For each OST its LAST_ID of the same sequence, a 64-bit number at 8 times its index. After the mount ' +
        'nothing is cleaned up, and LFSCK with -o (below) links the objects into .lustre/lost+found.',
      warn: 'Only after the last increment was received: this changes the dataset, and no further one fits.',
    },
    {
      title: 'Way C: the OSTs go back as well, to snapshots taken together with that of this MDT',
      commands: ['zfs list -t snapshot -o name,creation OSTPOOL/OST', 'zfs rollback OSTPOOL/OST@SNAPSHOT'],
      expect: 'All of the file system stands at one moment; what was written since is gone.',
      warn: 'ZFS asks for -r where newer snapshots stand in the way, and destroys them: the safety net above among them.',
    },
  ];
}
