/** PROTOCOL.md against the service: its table names every call, and its curl examples work. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { TestService } from '../fixture/running-service.ts';
import { openRequest } from '../fixture/samples.ts';

const PAGE = readFileSync(new URL('../../../catalog/protocol/PROTOCOL.md', import.meta.url), 'utf8');

describe('PROTOCOL.md', () => {
  const service = new TestService();
  before(async () => {
    await service.start();
    await service.backUp(openRequest({ to: 1n }));
  });
  after(() => service.end());

  it('names every call of the service, and no other', () => {
    const rows = [...PAGE.matchAll(/^\| `([A-Z]+)(?:`, `([A-Z]+))? (\/[^`]+)` +\| /gm)];
    const named = rows.flatMap(([, one, two, path]) =>
      [one, two].flatMap((method) => (method ? [`${method} ${path}`] : [])),
    );
    const { paths = {} } = service.running.app.swagger();
    const there = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods ?? {}).map(
        (method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1').replace('{*}', '<key>')}`,
      ),
    );
    assert.deepEqual(named.sort(), there.filter((call) => !call.endsWith('/openapi.json')).sort());
  });

  const commands = (/```sh\n([^`]+)```/.exec(PAGE)?.[1] ?? '').replaceAll('\\\n', ' ').trim().split('\n');
  it('has examples', () => assert(commands.length >= 3));
  for (const command of commands) {
    it(`has an example that works: ${command.slice(0, 60)}...`, async () => {
      const { path, headers, body } = readCurl(command.replace('$TOKEN', service.token('reader')));
      const method = body === undefined ? 'GET' : 'POST';
      const { status, text } = await service.call(method, path, {
        token: null,
        headers,
        ...(body ? { body } : {}),
      });
      assert.equal(status, 200, text);
    });
  }
});

/** The little of curl that the examples use: -s, -H, -d and the address. */
function readCurl(command: string): {
  path: string;
  headers: Record<string, string>;
  body: string | undefined;
} {
  const [name, ...words] = [...command.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, a, b, c]) => a ?? b ?? c ?? '',
  );
  assert.equal(name, 'curl');
  const headers: Record<string, string> = {};
  let [path, body]: (string | undefined)[] = [];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === '-s') continue;
    if (word === '-d') body = words.shift();
    else if (word === '-H') {
      const [, key = '', value = ''] = /^([^:]+): (.*)$/.exec(words.shift() ?? '') ?? [];
      headers[key] = value;
    } else path = new URL(word).pathname;
  }
  return { path: path ?? assert.fail(`no address: ${command}`), headers, body };
}
