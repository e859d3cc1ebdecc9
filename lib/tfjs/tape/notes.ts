/** What is noted of an op beside its node on the tape. */

/** The kernel of an op, and its attributes. */
export interface KernelNote {
  readonly kernel: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** The attributes of an op that has none, or whose attributes are not known. */
export const NO_ATTRIBUTES: Readonly<Record<string, unknown>> = Object.freeze({});
const BOOKKEEPING: readonly string[] = ['Identity', 'Reshape', 'Cast'];

/** What an op with a gradient of its own stands for: the one kernel it ran, where that is one of `fused`. */
export function noteOfCustomOp(scope: string, ran: readonly KernelNote[], fused: readonly string[]): KernelNote {
  const proper = ran.filter((note) => !BOOKKEEPING.includes(note.kernel));
  const [only] = proper;
  return only && proper.length === 1 && fused.includes(only.kernel)
    ? only
    : { kernel: scope, attributes: NO_ATTRIBUTES };
}
