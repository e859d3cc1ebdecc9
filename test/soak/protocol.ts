/** What the main thread and its workers tell each other. */
import type { Fault, Tally } from './tally';

/** What a worker is started with. */
export interface WorkerData {
  readonly seed: number;
  /** The weights that programs end with; a worker without them finds them out first. */
  readonly references?: Readonly<Record<string, string>>;
  /** Makes this case alone, again and again. */
  readonly only?: number | undefined;
}

/** What a worker is told: to come to rest, or to go on. */
export type Order = 'rest' | 'go on';

/** Bytes of one thread's heap after a garbage collection. */
export interface Heap {
  readonly used: number;
  readonly external: number;
  readonly arrayBuffers: number;
}

/** What a worker says. */
export type Word =
  | { readonly kind: 'references'; readonly references: Record<string, string>; readonly tally: Tally }
  | { readonly kind: 'counts'; readonly tally: Tally; readonly faults: readonly Fault[] }
  | { readonly kind: 'resting'; readonly heap: Heap };
