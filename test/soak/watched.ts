/** Asynchronous calls to which something happens while they are pending. */
import type { Random } from './random';
import type { Outcome, Report } from './tally';

/** An asynchronous call, and what it is to give. */
export interface WatchedCall {
  readonly name: string;
  /** The arrays that it is given, which nobody else has. */
  readonly arrays: Readonly<Record<string, Float32Array>>;
  /** Those of them that it writes. */
  readonly written: readonly string[];
  /** Those without which it may also end with an error, though it only reads them. */
  readonly needed?: readonly string[];
  /** Makes the call; gives the arrays of its result. */
  readonly start: (signal: AbortSignal | undefined) => Promise<readonly Float32Array[]>;
  /** The arrays that its twin on the calling thread gave, on copies. */
  readonly expected: readonly Float32Array[];
  /** What the twin gives when the call is made once more: an abort may come after the work was done. */
  readonly again?: () => readonly Float32Array[];
}

/** What may happen meanwhile. */
const events = ['nothing', 'nothing', 'nothing', 'abort', 'abort', 'mutated', 'transferred', 'freed'] as const;

/** What happens to one call. */
interface Happening {
  readonly event: (typeof events)[number];
  readonly name: string;
}

const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) => Buffer.from(buffer, byteOffset, byteLength);

/** Whether two lists of arrays have the same bits. */
export function sameBits(found: readonly Float32Array[], expected: readonly Float32Array[]): boolean {
  return (
    found.length === expected.length &&
    found.every((array, i) => {
      const other = expected[i];
      return other !== undefined && bytes(array).equals(bytes(other));
    })
  );
}

/** What is in memory that a call has no business with any more. */
const DECOY = 7;

/** Does to an array what may happen to it; arrays that nobody may write to any more. */
function happen(event: Happening['event'], array: Float32Array | undefined): Float32Array[] {
  if (array === undefined) return [];
  if (event === 'mutated') array.fill(Number.NaN);
  if (event !== 'transferred' && event !== 'freed') return [];
  const size = array.length;
  const moved = structuredClone(array, { transfer: [array.buffer as ArrayBuffer] });
  if (event === 'transferred') return [moved.fill(DECOY)];
  return Array.from({ length: 3 }, () => new Float32Array(size).fill(DECOY)); // where the array was, maybe
}

/** A time between nothing and some milliseconds, the shorter the likelier. */
const moment = (random: Random) => {
  const milliseconds = 20 * random.next() ** 3;
  return milliseconds < 0.2 ? undefined : new Promise((resolve) => setTimeout(resolve, milliseconds));
};

function judge(call: WatchedCall, { event, name }: Happening, result: readonly Float32Array[]): [Outcome, string] {
  const gone = event === 'transferred' || event === 'freed';
  if (gone && call.written.includes(name)) return ['wrong', `a result although ${name} was ${event}`];
  return sameBits(result, call.expected) ? ['right', ''] : ['wrong', `other bits, ${name || 'nothing'} ${event}`];
}

function judgeError(call: WatchedCall, { event, name }: Happening, error: unknown): [Outcome, string] {
  const { code, name: kind } = Object(error) as { code?: unknown; name?: unknown };
  if (event === 'abort' && kind === 'AbortError') return ['aborted', ''];
  const gone = event === 'transferred' || event === 'freed';
  const may = call.written.includes(name) || (call.needed ?? []).includes(name);
  if (gone && may && code === 'ERR_CGFAC_DETACHED_BUFFER') return ['refused', ''];
  return ['unexpected', `${error}, ${name || 'nothing'} ${event}`];
}

/** Chooses what happens to a call, and to which of its arrays. */
function chosen(random: Random, call: WatchedCall): Happening {
  const event = random.pick(events);
  const touches = event === 'mutated' || event === 'transferred' || event === 'freed';
  return { event, name: touches ? random.pick(Object.keys(call.arrays)) : '' };
}

/** Makes a call, has something happen, or nothing, and counts how it ended. */
export async function watch(report: Report, random: Random, call: WatchedCall): Promise<Outcome> {
  let happening = chosen(random, call);
  const controller = happening.event === 'abort' ? new AbortController() : undefined;
  let decoys: Float32Array[] = [];
  let verdict: [Outcome, string];
  try {
    let settled = false;
    const settle = () => {
      settled = true;
    };
    const promise = call.start(controller?.signal);
    promise.then(settle, settle);
    if (happening.event !== 'nothing' && random.chance(0.7)) await moment(random);
    if (settled) happening = { event: 'nothing', name: '' };
    controller?.abort();
    decoys = happen(happening.event, call.arrays[happening.name]);
    verdict = judge(call, happening, await promise);
  } catch (error) {
    verdict = judgeError(call, happening, error);
  }
  if (decoys.some((decoy) => decoy.some((value) => value !== DECOY)))
    verdict = ['wrong', `an array that is not the call's was written, ${happening.name} ${happening.event}`];
  report.count(call.name, ...verdict);
  return verdict[0];
}

/**
 * Makes an aborted call again. It gives what it would have given, or, where the abort came after the work was done,
 * what it gives the second time.
 */
export async function repeat(report: Report, call: WatchedCall): Promise<Outcome> {
  let verdict: [Outcome, string];
  try {
    const result = await call.start(undefined);
    const same = sameBits(result, call.expected) || sameBits(result, call.again?.() ?? []);
    verdict = same ? ['right', ''] : ['wrong', 'other bits after an abort'];
  } catch (error) {
    verdict = ['unexpected', `${error}, after an abort`];
  }
  report.count(call.name, ...verdict);
  return verdict[0];
}

/** Makes a call that has to be refused, and counts how it ended. */
export async function watchRefused(report: Report, name: string, codes: RegExp, call: () => unknown): Promise<void> {
  try {
    await call();
    report.count(name, 'wrong', 'a bad argument was taken');
  } catch (error) {
    const { code } = Object(error) as { code?: unknown };
    if (codes.test(String(code))) report.count(name, 'refused');
    else report.count(name, 'unexpected', `${error}`);
  }
}
