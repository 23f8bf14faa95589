/** Somebody who takes webhooks, and answers as a test says. */
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NoticeDocument } from '../../../server/notices/document.ts';

export interface Taken {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly document: NoticeDocument;
}

export class PostOffice {
  readonly #server: Server;
  readonly taken: Taken[] = [];
  /** How the next requests are answered: a status, or by hand; afterwards with 204. */
  readonly answers: (number | ((response: ServerResponse) => void))[] = [];

  private constructor() {
    this.#server = createServer(async (request, response) => {
      const body = await text(request);
      this.taken.push({ headers: request.headers, body, document: JSON.parse(body) as NoticeDocument });
      const answer = this.answers.shift() ?? 204;
      if (typeof answer === 'number') response.writeHead(answer).end();
      else answer(response);
    });
  }

  static async open(port = 0): Promise<PostOffice> {
    const office = new PostOffice();
    await new Promise<void>((resolve) => office.#server.listen(port, '127.0.0.1', resolve));
    return office;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/secret-path`;
  }

  /** Waits until so many were taken. */
  async comesToHave(count: number): Promise<readonly Taken[]> {
    await until(() => this.taken.length >= count);
    return this.taken;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Waits until it is so, for at most ten seconds. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let left = 1000; left > 0 && !isSo(); left--) await sleep(10);
  if (!isSo()) throw new Error('it did not come to be so');
}
