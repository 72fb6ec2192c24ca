/** Sequences of the newest messages of subjects. Where a log has several copies, only its leader surely has the newest. */
import { type LogName, type Sequence, streams } from '@millrace/protocol';
import { isMessageMissing } from './nats-errors.ts';
import type { ReaderHost } from './nats-reader.ts';

export class NatsHeads {
  readonly #host: ReaderHost;
  readonly #answerMsMax: number;
  readonly #copied = new Map<LogName, Promise<boolean>>();

  /**
   * @param replicas  copies that this process asks for when it creates a log. A log of more than that, which another process
   * created, is noticed once, at the first question.
   */
  constructor(host: ReaderHost, options: { readonly replicas: number; readonly answerMsMax: number }) {
    this.#host = host;
    this.#answerMsMax = options.answerMsMax;
    if (options.replicas > 1)
      for (const log of Object.keys(streams) as LogName[]) this.#copied.set(log, Promise.resolve(true));
  }

  /** Sequence of the newest message on `subject`, 0 when there is none; rejects with the client's error. */
  async of(log: LogName, subject: string): Promise<Sequence> {
    try {
      return await ((await this.#isCopied(log))
        ? this.#askLeader(log, subject)
        : this.#askDirectly(log, subject));
    } catch (error) {
      if (isMessageMissing(error)) return 0;
      throw error;
    }
  }

  #isCopied(log: LogName): Promise<boolean> {
    let copied = this.#copied.get(log);
    if (copied === undefined) {
      copied = this.#host.jetStream.streams
        .info(streams[log].name)
        .then(({ config }) => config.num_replicas > 1);
      this.#copied.set(log, copied);
      copied.catch(() => this.#copied.delete(log));
    }
    return copied;
  }

  /** The answer carries the whole message in base64. */
  async #askLeader(log: LogName, subject: string): Promise<Sequence> {
    const query = { last_by_subj: subject };
    return (await this.#host.jetStream.streams.getMessage(streams[log].name, query)).seq;
  }

  async #askDirectly(log: LogName, subject: string): Promise<Sequence> {
    const address = `$JS.API.DIRECT.GET.${streams[log].name}.${subject}`;
    const options = { timeout: this.#answerMsMax };
    const answer = await this.#host.connection.request(address, new Uint8Array(0), options);
    if (answer.headers?.code === 404) return 0;
    const sequence = Number(answer.headers?.get('Nats-Sequence'));
    if (Number.isSafeInteger(sequence) && sequence > 0) return sequence;
    throw new Error(
      `no sequence in the answer: ${answer.headers?.code ?? 0} ${answer.headers?.description ?? ''}`,
    );
  }
}
