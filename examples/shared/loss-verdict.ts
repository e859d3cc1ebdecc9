/** What is told of cgfac beside Adam where losses count, and not errors. */
import type { Evaluation, Outcome } from './side-by-side';

/** A line for a step: the losses held out of each. */
export function lossLine(names: readonly string[], evaluations: readonly Evaluation[]): string {
  const step = evaluations[0]?.step ?? 0;
  return `step ${step}:  ${evaluations.map(({ loss }, i) => `${names[i]} ${loss.toPrecision(3)}`).join(';  ')}`;
}

/** How the losses ended, when the first had the last loss of the second, and how their steps compare. */
export function lossVerdict([own, other]: readonly [own: Outcome, other: Outcome]): string {
  const last = ({ evaluations }: Outcome) => evaluations.at(-1)?.loss ?? Number.NaN;
  const reached = own.evaluations.find(({ loss }) => loss <= last(other));
  const when = reached
    ? `${own.name} was there after ${reached.step} steps`
    : `${own.name} did not come to the last loss of ${other.name}`;
  const ratio = (own.stepMilliseconds / other.stepMilliseconds).toFixed(2);
  return (
    `${own.name} ended at ${last(own).toPrecision(3)}, ${other.name} at ${last(other).toPrecision(3)}; ${when}. ` +
    `A step took ${ratio} × as long.`
  );
}
