/**
 * Ranks in one process: as many asynchronous programs, each with a communicator of its own. Every collective is checked
 * for the same name, order and lengths on all ranks, and the bytes that each of them would send are counted.
 */
import { CgfacError, type Communicator, type Expected, type Numbers, type ReduceOperation } from 'cgfac';

/** Bytes that each rank sent, by the name of the collective. */
export type Traffic = Record<string, number[]>;

/** What one rank brings into a collective. */
interface Call {
  readonly name: string;
  /** What has to be the same on all ranks. */
  readonly form: string;
  readonly given: readonly Numbers[];
  readonly resolve: (result: readonly Numbers[]) => void;
  readonly reject: (error: unknown) => void;
}

/** What all ranks have after a collective, by rank, and the bytes that each of them sends. */
interface Done {
  readonly results: readonly (readonly Numbers[])[];
  readonly sent: readonly number[];
}

const combined: Readonly<Record<ReduceOperation, (a: number, b: number) => number>> = {
  sum: (a, b) => a + b,
  min: Math.min,
  max: Math.max,
};

/** The numbers of all ranks, put together in their order. */
function reduced(all: readonly Numbers[], operation: ReduceOperation): Numbers {
  const sum = (all[0] as Numbers).slice();
  for (const each of all.slice(1))
    each.forEach((value, at) => {
      sum[at] = combined[operation](sum[at] ?? 0, value);
    });
  return sum;
}

/** A ring sends on what it has received: all but what the next one had. */
function ring(lengths: readonly number[]): number[] {
  const all = lengths.reduce((sum, each) => sum + each, 0);
  return lengths.map((_, rank) => all - (lengths[(rank + 1) % lengths.length] ?? 0));
}

/** What a collective does. */
function done(name: string, form: string, given: readonly (readonly Numbers[])[]): Done {
  const size = given.length;
  const first = given.map(([numbers]) => numbers as Numbers);
  const bytes = first.map((numbers) => numbers?.byteLength ?? 0);
  switch (name) {
    case 'allreduce': {
      const sum = reduced(first, (form.split(' ')[0] ?? 'sum') as ReduceOperation);
      return {
        results: given.map(() => [sum.slice()]),
        sent: bytes.map((each) => (2 * (size - 1) * each) / size),
      };
    }
    case 'alltoallv': {
      const to = (from: number, rank: number) => given[from]?.[rank] as Numbers;
      return {
        results: given.map((_, rank) => given.map((__, from) => to(from, rank).slice())),
        sent: given.map((parts, from) =>
          parts.reduce((sum, part, rank) => sum + (rank === from ? 0 : part.byteLength), 0),
        ),
      };
    }
    case 'allgatherv':
      return { results: given.map(() => first.map((numbers) => numbers.slice())), sent: ring(bytes) };
    case 'bcast': {
      const root = Number(form.split(' ')[0]);
      const last = (root + size - 1) % size;
      return {
        results: given.map(() => [(first[root] as Numbers).slice()]),
        sent: bytes.map((each, rank) => (rank === last ? 0 : each)),
      };
    }
    default:
      return { results: given.map(() => []), sent: given.map(() => 0) };
  }
}

/** Ranks whose collectives meet here. */
export class VirtualRanks {
  /** The communicator of each rank. */
  readonly communicators: readonly Communicator[];
  /** What was sent since the start, or since it was last set to none. */
  traffic: Traffic = {};
  /** Is told of each collective that a rank comes to. */
  watched: (rank: number, name: string) => void = () => {};
  readonly #waiting: Call[][];

  constructor(readonly size: number) {
    this.#waiting = Array.from({ length: size }, () => []);
    this.communicators = Array.from({ length: size }, (_, rank) => this.#communicator(rank));
  }

  /** Runs a program on each rank; all have ended when it settles, and the first that failed is what is thrown. */
  async run<T>(program: (communicator: Communicator, rank: number) => Promise<T>): Promise<T[]> {
    const all = await this.settle(program);
    const failed = all.find((each) => each.status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
    return all.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  }

  /** Runs a program on each rank and tells what became of each; one that waits for others in vain is refused. */
  async settle<T>(program: (communicator: Communicator, rank: number) => Promise<T>) {
    let running = this.size;
    return await Promise.allSettled(
      this.communicators.map(async (communicator, rank) => {
        try {
          return await program(communicator, rank);
        } finally {
          running--;
          this.#requireCompany(running);
        }
      }),
    );
  }

  /** Bytes that each rank sent, in all collectives. */
  get sent(): number[] {
    return Array.from({ length: this.size }, (_, rank) =>
      Object.values(this.traffic).reduce((sum, bytes) => sum + (bytes[rank] ?? 0), 0),
    );
  }

  /** Ranks that wait while all others have ended would wait for ever. */
  #requireCompany(running: number): void {
    const waiting = this.#waiting.filter((calls) => calls.length > 0);
    if (running === 0 || waiting.length < running) return;
    const names = waiting.map((calls) => calls[0]?.name);
    for (const calls of waiting)
      for (const { reject } of calls.splice(0))
        reject(
          new CgfacError(
            'ERR_CGFAC_COMMUNICATION',
            `Expected all ranks in ${names.join(', ')} but received ${running}`,
          ),
        );
  }

  #call(rank: number, name: string, form: string, given: readonly Numbers[]): Promise<readonly Numbers[]> {
    const copies = given.map((numbers) => numbers.slice());
    this.watched(rank, name);
    return new Promise((resolve, reject) => {
      this.#waiting[rank]?.push({ name, form, given: copies, resolve, reject });
      this.#meet();
    });
  }

  #meet(): void {
    while (this.#waiting.every((calls) => calls.length > 0)) {
      const calls = this.#waiting.map((queue) => queue.shift() as Call);
      const [first] = calls;
      const other = calls.findIndex(({ name, form }) => name !== first?.name || form !== first.form);
      if (first === undefined) return;
      if (other >= 0) {
        const words = (call: Call | undefined) => `${call?.name} (${call?.form})`;
        const message = `Expected ${words(first)} on all ranks but received ${words(calls[other])} on rank ${other}`;
        for (const { reject } of calls) reject(new CgfacError('ERR_CGFAC_COMMUNICATION', message));
        continue;
      }
      const { results, sent } = done(
        first.name,
        first.form,
        calls.map(({ given }) => given),
      );
      this.#count(first.name, sent);
      calls.forEach(({ resolve }, rank) => {
        resolve(results[rank] ?? []);
      });
    }
  }

  #count(name: string, sent: readonly number[]): void {
    const before = this.traffic[name] ?? sent.map(() => 0);
    this.traffic[name] = sent.map((bytes, rank) => bytes + (before[rank] ?? 0));
  }

  #communicator(rank: number): Communicator {
    const typeOf = (numbers: Numbers) => numbers.constructor.name;
    const call = <T extends Numbers>(name: string, form: string, given: readonly T[]) =>
      this.#call(rank, name, form, given) as Promise<readonly Numbers[]> as Promise<T[]>;
    const alone = (): never => {
      throw new Error('Expected ranks on threads of their own for a Sync method but received one thread');
    };
    const checked = <T extends Numbers>(results: T[], expected: Expected | undefined): T[] => {
      results.forEach((numbers, from) => {
        const count = expected?.counts?.[from];
        if (count !== undefined && count !== numbers.length)
          throw new Error(`Expected ${count} numbers of rank ${from} but received ${numbers.length}`);
      });
      return results;
    };
    return {
      rank,
      size: this.size,
      allreduce: async (values, operation = 'sum') =>
        (await call('allreduce', `${operation} of ${values.length} ${typeOf(values)}`, [values]))[0] as typeof values,
      alltoallv: async (parts, expected) => {
        if (parts.length !== this.size) throw new Error(`Expected ${this.size} parts but received ${parts.length}`);
        const type = parts.map(typeOf).find(Boolean) ?? '';
        return checked(await call('alltoallv', type, parts), expected);
      },
      allgatherv: async (values, expected) => checked(await call('allgatherv', typeOf(values), [values]), expected),
      bcast: async (values, root = 0) =>
        (await call('bcast', `${root} ${values.length} ${typeOf(values)}`, [values]))[0] as typeof values,
      barrier: async () => {
        await call('barrier', '', []);
      },
      finalize: async () => {
        await call('finalize', '', []);
      },
      allreduceSync: alone,
      alltoallvSync: alone,
      allgathervSync: alone,
      bcastSync: alone,
      barrierSync: alone,
    };
  }
}
