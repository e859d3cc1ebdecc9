/** What is told of cgfac beside Adam, epoch by epoch and in the end. */
import type { Evaluation, Outcome } from './side-by-side';

const percent = (accuracy: number) => `${(100 * (1 - accuracy)).toFixed(2)} %`;
const seconds = (value: number) => `${value.toFixed(1)} s`;
const epochs = (count: number) => `${count} epoch${count === 1 ? '' : 's'}`;

/** A line for an epoch: the errors of each, and the seconds that it has trained. */
export function epochLine(epoch: number, names: readonly string[], evaluations: readonly Evaluation[]): string {
  const parts = evaluations.map(
    ({ accuracy, seconds: trained }, i) => `${names[i]} ${percent(accuracy)} errors, ${seconds(trained)}`,
  );
  return `epoch ${epoch}:  ${parts.join(';  ')}`;
}

/** The evaluation with the fewest errors, the first of them. */
function best(evaluations: readonly Evaluation[]): Evaluation {
  const [first] = [...evaluations].sort((a, b) => b.accuracy - a.accuracy || a.step - b.step);
  if (!first) throw new RangeError('Expected evaluations but received none');
  return first;
}

/** Whether cgfac had errors as few as the fewest of Adam, and when; how their steps compare. */
export function verdict([own, other]: readonly [own: Outcome, other: Outcome], perEpoch: number): string {
  const when = ({ step, accuracy, seconds: trained }: Evaluation) =>
    `${percent(accuracy)} errors after ${epochs(Math.ceil(step / perEpoch))} and ${seconds(trained)}`;
  const goal = best(other.evaluations);
  const reached = own.evaluations.find(({ accuracy }) => accuracy >= goal.accuracy);
  const step = `A step took ${(own.stepMilliseconds / other.stepMilliseconds).toFixed(2)} × as long.`;
  return reached
    ? `${own.name} had ${when(reached)}, ${other.name} no fewer than ${when(goal)}. ${step}`
    : `${own.name} had no fewer than ${when(best(own.evaluations))}, ${other.name} ${when(goal)}. ${step}`;
}
