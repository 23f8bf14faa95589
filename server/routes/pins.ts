/** Pins: snapshots that are kept whatever the policies say. */
import { Type } from 'typebox';
import { ZkeepError } from '../../catalog/errors.ts';
import { type Pin, PinIdSchema } from '../../catalog/journal/entry.ts';
import {
  PinRequestSchema,
  type PinRow,
  PinRowSchema,
  PinsAnswerSchema,
  UnpinRequestSchema,
} from '../../catalog/protocol/keeping.ts';
import { type Guid, newUuid7 } from '../../catalog/words.ts';
import { tokenOf } from '../http/access.ts';
import type { App, Service } from '../service.ts';

const tags = ['keeping'];
const config = { access: 'operator' } as const;
const params = Type.Object({ pin: PinIdSchema });
/** One answer tells of all of them. */
const MOST_PINS = 10_000;

export function pinRoutes(app: App, { index, journal, clock }: Service): void {
  const held = (pin: string): PinRow => {
    const row = index.pins(clock.now()).find((one) => one.pin === pin);
    if (row) return row;
    throw new ZkeepError('missing', 'pin.missing', `there is no pin ${pin}`, {
      advice: 'zkeep pins shows those that hold',
      facts: { pin },
    });
  };

  app.get(
    '/v1/pins',
    {
      config: { access: 'reader' },
      schema: { summary: 'pins that hold, those set first first', tags, response: { 200: PinsAnswerSchema } },
    },
    async () => ({ pins: index.pins(clock.now()) }),
  );

  app.post(
    '/v1/pins',
    {
      config,
      schema: {
        summary: 'pin a snapshot',
        tags,
        body: PinRequestSchema,
        response: { 201: PinRowSchema },
      },
    },
    async (request, reply) => {
      const { guid, reason, until, legal } = request.body;
      const pin: Pin = { pin: newUuid7(clock.now()), guid, reason, until, legal };
      checkEnd(pin, clock.now());
      if (index.backupsTo(guid).length === 0) throw unknownSnapshot(guid);
      if (index.pins(clock.now()).length >= MOST_PINS) throw tooMany();
      await journal.record(tokenOf(request).name, { kind: 'pin.set', pin });
      // A prune may have been faster: then there is nothing left that the pin could keep.
      if (index.backupsTo(guid).length === 0) throw unknownSnapshot(guid);
      return reply.code(201).send(held(pin.pin));
    },
  );

  app.delete(
    '/v1/pins/:pin',
    {
      config,
      schema: {
        summary: 'remove a pin; a legal hold only when that is said',
        tags,
        params,
        body: UnpinRequestSchema,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { pin, legal } = held(request.params.pin);
      if (legal && !request.body.legal) throw legalHold(pin);
      const { reason } = request.body;
      await journal.record(tokenOf(request).name, { kind: 'pin.removed', pin, reason });
      return reply.code(204).send(null);
    },
  );
}

function checkEnd({ until, legal }: Pin, now: number): void {
  if (until === null) return;
  const facts = { until };
  if (legal) {
    throw new ZkeepError('usage', 'pin.legal-end', 'a legal hold has no end', {
      advice: 'leave the end out: it holds until it is removed',
      facts,
    });
  }
  if (Date.parse(until) > now) return;
  throw new ZkeepError('usage', 'pin.over', `the pin would be over since ${until}`, {
    advice: 'name an end that is to come, or none',
    facts,
  });
}

function unknownSnapshot(guid: Guid): ZkeepError {
  return new ZkeepError('missing', 'pin.unknown-snapshot', `no backup leads to snapshot ${guid}`, {
    advice: 'zkeep list shows the snapshots that are kept, with their GUIDs',
    facts: { guid },
  });
}

function legalHold(pin: string): ZkeepError {
  return new ZkeepError('refused', 'pin.legal-hold', `the pin ${pin} is a legal hold`, {
    advice: 'say that it is to be removed all the same: zkeep unpin --legal-hold',
    facts: { pin },
  });
}

function tooMany(): ZkeepError {
  return new ZkeepError('refused', 'pin.too-many', `there are ${MOST_PINS} pins already`, {
    advice: 'remove those that are needed no more',
    facts: { most: MOST_PINS },
  });
}
