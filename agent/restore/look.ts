/** All that must be known before one dataset is restored: the plan, the place, what was stored with it. */
import type { ObjectAttributes } from '../../catalog/attributes/attributes.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { BackupSummary, RestorePlan, Wanted } from '../../catalog/protocol/protocol.ts';
import type { BackupId, Guid } from '../../catalog/words.ts';
import type { CatalogView } from '../view/view.ts';
import { captureObjects } from './captured.ts';
import { haveOf } from './plan.ts';
import type { PlaceFacts } from './preflight/facts.ts';
import type { ManifestPart } from './preflight/gather.ts';
import { readStored, type Stored } from './stored.ts';

/** A dataset that is wanted at a place. */
export interface Wish {
  readonly wanted: Wanted;
  readonly place: PlaceFacts;
}

/** What is known of it. */
export interface Looked {
  readonly plan: RestorePlan;
  readonly place: PlaceFacts;
  readonly type: 'filesystem' | 'volume';
  /** Of the streams, in the order in which they are received. */
  readonly manifests: readonly ManifestPart[];
  readonly stored: Stored;
  /** The target's objects as they are now, where nothing more is to be received. */
  readonly now: ReadonlyMap<string, ObjectAttributes>;
  /** Backups whose streams cannot be put into a package. */
  readonly unwrappable: ReadonlySet<BackupId>;
  /** Why nothing can be received here as it is; the plan is then one that what is in the way would allow once gone. */
  readonly refusal: ZkeepError | null;
}

/** What looking takes. */
export interface Looking {
  readonly view: CatalogView;
  readonly force: boolean;
  readonly signal: AbortSignal;
}

/**
 * Asks the catalog, the store and the host about one dataset. Changes nothing.
 *
 * @throws {ZkeepError} when there is no way to what is wanted, whatever the target holds.
 */
export async function lookAt({ wanted, place }: Wish, { view, force, signal }: Looking): Promise<Looked> {
  const { plan, refusal } = await planAt(view, { wanted, place }, force);
  const steps = await factsOf(view, plan.steps);
  const stored = await readStored(view, await chainTo(view, plan));
  const standing = plan.steps.length === 0 && place.exists;
  const names = place.snapshots.map(({ name }) => name);
  return {
    plan,
    place,
    type: typeOf(steps, stored),
    manifests: steps.map(({ part }) => part),
    stored,
    now: standing && stored.dataset ? await captureObjects(place.target, names, signal) : new Map(),
    unwrappable: new Set(steps.filter(({ swapped }) => swapped).map(({ backup }) => backup)),
    refusal,
  };
}

/**
 * The plan; where what the target holds forbids any, the one after a rollback, else the one into
 * nothing: so that the preflight finds what else stands in the way.
 */
async function planAt(
  view: CatalogView,
  { wanted, place }: Wish,
  force: boolean,
): Promise<Pick<Looked, 'plan' | 'refusal'>> {
  const have = haveOf(place);
  try {
    const plan = await view.plan({ wanted, have, rollback: force });
    return { plan: (await throughPartial(view, { wanted, place }, plan)) ?? plan, refusal: null };
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || !IN_THE_WAY.has(thrown.code)) throw thrown;
    for (const other of [
      { have, rollback: true },
      { have: [], rollback: false },
    ]) {
      const plan = await view.plan({ wanted, ...other }).catch(() => undefined);
      if (plan) return { plan, refusal: thrown };
    }
    throw thrown;
  }
}

/**
 * The plan that goes on with what an interrupted receive left, where the cheapest one
 * begins otherwise by now; `undefined` where there is none, or it does already.
 */
async function throughPartial(
  view: CatalogView,
  { wanted, place }: Wish,
  plan: RestorePlan,
): Promise<RestorePlan | undefined> {
  const { toguid: to, fromguid: from } = place.partial?.token ?? { toguid: undefined, fromguid: null };
  const [first] = plan.steps;
  const have = haveOf(place);
  if (to === undefined || !first || plan.rollback || from !== (have[0] ?? null)) return undefined;
  if (first.to === to && first.from === from) return undefined;
  const stored = await bringing(view, to, from);
  if (!stored) return undefined;
  const rest = await view.plan({ wanted, have: [to, ...have], rollback: false }).catch(() => undefined);
  if (rest?.base !== to) return undefined;
  const steps = [stored, ...rest.steps];
  return {
    ...rest,
    base: from,
    steps,
    bytes: rest.bytes + stored.bytes,
    stored: rest.stored + stored.stored,
  };
}

async function bringing(view: CatalogView, to: Guid, from: Guid | null): Promise<BackupSummary | undefined> {
  for await (const backup of view.backups({ to })) if (backup.from === from) return backup;
  return undefined;
}

/** Codes of the planner for a target that holds something else (`catalog/chain/reason.ts`). */
const IN_THE_WAY = new Set(['chain.target-has-newer', 'chain.target-unrelated', 'chain.target-not-empty']);

interface StepFacts {
  readonly backup: BackupId;
  readonly part: ManifestPart;
  /** From a machine of the other byte order. */
  readonly swapped: boolean;
}

/** One after the other, and only what is needed of each: a manifest may list ten thousand segments. */
async function factsOf(view: CatalogView, steps: readonly BackupSummary[]): Promise<StepFacts[]> {
  const found: StepFacts[] = [];
  for (const step of steps) {
    const { to, source, stream } = await view.manifest(step);
    const part = { to, source: { zfs: source.zfs }, stream: { begin: stream.begin, bytes: stream.bytes } };
    found.push({ backup: step.backup, part, swapped: stream.begin.order !== 'little' });
  }
  return found;
}

/**
 * All backups whose snapshots stand at the target in the end, also those that an
 * earlier try received, whose properties may not be set yet.
 */
async function chainTo(view: CatalogView, plan: RestorePlan): Promise<readonly BackupSummary[]> {
  if (plan.base === null) return plan.steps;
  const { guid, dataset, host } = plan.wanted;
  try {
    const whole = await view.plan({ wanted: { guids: [guid], dataset, host }, have: [], rollback: false });
    const known = new Set(whole.steps.map(({ backup }) => backup));
    return [
      ...whole.steps.slice(0, -1),
      ...plan.steps.filter(({ backup }) => !known.has(backup)),
      ...whole.steps.slice(-1),
    ];
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || !['missing', 'refused'].includes(thrown.kind)) throw thrown;
    // What leads to the base may be gone: then only the new snapshots' properties are known.
    return plan.steps.length > 0 ? plan.steps : await leadingTo(view, plan);
  }
}

async function leadingTo(view: CatalogView, { wanted }: RestorePlan): Promise<BackupSummary[]> {
  for await (const backup of view.backups({ to: wanted.guid })) if (backup.attributes) return [backup];
  return [];
}

/** `drr_type` 3 is a volume (`DMU_OST_ZVOL`). */
function typeOf([first]: readonly StepFacts[], { dataset }: Stored): 'filesystem' | 'volume' {
  if (first) return first.part.stream.begin.type === 3 ? 'volume' : 'filesystem';
  return dataset?.kind === 'volume' ? 'volume' : 'filesystem';
}
