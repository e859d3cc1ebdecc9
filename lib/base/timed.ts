/** Where the time of a step goes, for whoever listens. */
import { channel } from 'node:diagnostics_channel';

/**
 * A part of a training step: the user's computation of the loss and its backward pass; what finds where the layers
 * enter the loss, sends sampled targets back, and reads the rows; what hands these to the core, prepares the directions
 * of all layers, and makes the update; the new values of the variables, and their averages.
 */
export type StepPart =
  | 'forward'
  | 'backward'
  | 'heads'
  | 'sampled backward'
  | 'capture'
  | 'check'
  | 'record'
  | 'directions'
  | 'update'
  | 'assignment'
  | 'averages';

/** What is published when a part of a step has ended. */
export interface PartTime {
  readonly part: StepPart;
  /** Without those of other parts inside it. */
  readonly milliseconds: number;
}

/** The name of the channel of `node:diagnostics_channel` that {@link PartTime} messages are published on. */
const NAME = 'cgfac:part';
const parts = channel(NAME);

/** Milliseconds of the parts inside the one that is under way. */
let inside = 0;

/** Calls `body`, and publishes how long it took where somebody listens. */
export function timed<T>(part: StepPart, body: () => T): T {
  if (!parts.hasSubscribers) return body();
  const before = inside;
  inside = 0;
  const begin = performance.now();
  try {
    return body();
  } finally {
    const whole = performance.now() - begin;
    const time: PartTime = { part, milliseconds: whole - inside };
    parts.publish(time);
    inside = before + whole;
  }
}
