/** Which backups are proven, and what verifications elsewhere found. */
import {
  FindingsAnswerSchema,
  FindingsRequestSchema,
  ProofsAnswerSchema,
  ProofsQuerySchema,
} from '../../catalog/protocol/events.ts';
import type { BackupId } from '../../catalog/words.ts';
import { tokenOf } from '../http/access.ts';
import type { App, Service } from '../service.ts';

const tags = ['proof'];

export function proofRoutes(app: App, { index, journal }: Service): void {
  app.get(
    '/v1/proofs',
    {
      config: { access: 'reader' },
      schema: {
        summary: 'backups by their last proof, the oldest first, before them those without one',
        tags,
        querystring: ProofsQuerySchema,
        response: { 200: ProofsAnswerSchema },
      },
    },
    async ({ query }) => ({ proofs: index.proofs(query) }),
  );

  app.post(
    '/v1/proofs',
    {
      config: { access: 'operator' },
      schema: {
        summary: 'what zkeep verify --report found on a machine that has the key',
        tags,
        body: FindingsRequestSchema,
        response: { 200: FindingsAnswerSchema },
      },
    },
    async (request) => {
      const { proofs, damage } = request.body;
      // It may have been removed while it was read; nobody needs to know of it any more.
      const isKept = ({ backup }: { readonly backup: BackupId }) => index.backup(backup) !== undefined;
      const whole = proofs.filter(isKept);
      const broken = damage.filter(isKept);
      const facts = [
        ...(whole.length > 0 ? [{ kind: 'proven' as const, proofs: whole }] : []),
        ...broken.map((one) => ({ kind: 'damaged' as const, damage: one })),
      ];
      if (facts.length > 0) await journal.record(tokenOf(request).name, ...facts);
      return { proofs: whole.length, damage: broken.length };
    },
  );
}
