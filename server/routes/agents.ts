/** Agents that run: what they say of themselves, and who they are. */
import { AgentsAnswerSchema, CheckInAnswerSchema, CheckInSchema } from '../../catalog/protocol/agents.ts';
import { tokenOf } from '../http/access.ts';
import type { App, Service } from '../service.ts';

const tags = ['agents'];
/** Bytes: tens of thousands of datasets by their names. */
const BODY_LIMIT = 16 * 1024 * 1024;

export function agentRoutes(app: App, { agents }: Service): void {
  app.post(
    '/v1/agents',
    {
      config: { access: 'agent' },
      bodyLimit: BODY_LIMIT,
      schema: {
        summary: 'an agent says that it runs, and how its jobs fare',
        tags,
        body: CheckInSchema,
        response: { 200: CheckInAnswerSchema },
      },
    },
    async (request) => agents.checkIn(tokenOf(request).name, request.body),
  );

  app.get(
    '/v1/agents',
    {
      config: { access: 'reader' },
      schema: { summary: 'agents, and what they said last', tags, response: { 200: AgentsAnswerSchema } },
    },
    async () => ({ agents: agents.list() }),
  );
}
