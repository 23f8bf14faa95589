/** The pool: whether it is there, and whether one could be made. */
import type { CreatingFacts, PoolFacts, PreflightFacts } from './facts.ts';
import { type Finding, refuse, warn } from './finding.ts';

export function findInPool({ pool }: PreflightFacts): Finding[] {
  return pool.creating ? findInNew(pool, pool.creating) : findInPresent(pool);
}

function findInNew(pool: PoolFacts, creating: CreatingFacts): Finding[] {
  const { name, properties } = pool;
  return [
    ...(properties === null ? [] : [poolExists(name)]),
    ...importableAs(pool).map((id) =>
      refuse(
        'pool-importable',
        `a pool ${name} could be imported here already (id ${id}): two pools of one name cannot be`,
        `take another name for the new pool, or import that one as another: zpool import ${id} NEWNAME`,
        { pool: name, id },
      ),
    ),
    ...(creating.folderInUse ? [folderInUse(name)] : []),
    ...creating.plan.differences
      .filter(({ matters }) => matters)
      .map(({ what, why }) =>
        warn(
          'pool-differs',
          `${name} will not be as the stored pool was: ${what}: ${why}`,
          'go on if that is meant',
          {
            pool: name,
            what,
          },
        ),
      ),
  ];
}

function findInPresent(pool: PoolFacts): Finding[] {
  const { name, properties } = pool;
  if (properties === null) return [noPool(pool)];
  const health = properties['health'] ?? 'ONLINE';
  const broken = ['FAULTED', 'OFFLINE', 'REMOVED', 'SUSPENDED', 'UNAVAIL'].includes(health);
  return [
    ...(properties['readonly'] === 'on' ? [importedReadonly(name)] : []),
    ...(broken
      ? [
          refuse('pool-broken', `${name} is ${health}`, `zpool status ${name} says what to do`, {
            pool: name,
            health,
          }),
        ]
      : []),
    ...(health === 'DEGRADED'
      ? [
          warn('pool-degraded', `${name} is DEGRADED`, `zpool status ${name} shows which disk is missing`, {
            pool: name,
            health,
          }),
        ]
      : []),
  ];
}

function importableAs({ name, importable }: PoolFacts): string[] {
  return importable.filter((pool) => pool.name === name).map(({ id }) => id);
}

function poolExists(name: string): Finding {
  const advice = `leave --create-pool out to restore into it, or take another name; zpool list shows what is there`;
  return refuse('pool-exists', `there is a pool ${name} already`, advice, { pool: name });
}

function folderInUse(name: string): Finding {
  const advice = `zpool create refuses it: move away what is in /${name}, or take another name`;
  return refuse(
    'folder-in-use',
    `the folder /${name}, where the pool would be mounted, is not empty`,
    advice,
    {
      pool: name,
      folder: `/${name}`,
    },
  );
}

function noPool(pool: PoolFacts): Finding {
  const [id] = importableAs(pool);
  const advice =
    id === undefined
      ? 'zpool list shows the pools of this host; --create-pool makes a new one'
      : `it could be imported: zpool import -N -o cachefile=none ${pool.name}`;
  return refuse('no-pool', `there is no pool ${pool.name}`, advice, {
    pool: pool.name,
    importable: id ?? null,
  });
}

function importedReadonly(name: string): Finding {
  const advice = `zpool export ${name}, then import it without readonly=on`;
  return refuse('pool-readonly', `${name} is imported read-only`, advice, { pool: name });
}
