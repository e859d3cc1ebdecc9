import { classifications } from './classification';
import type { Program } from './making';
import { pictures } from './pictures';
import { regressions } from './regression';
import { sequences } from './sequences';
import { variational } from './variational';

/** All programs of the suite `tasks`, in order. */
export const programs: readonly Program[] = [
  ...regressions,
  ...classifications,
  ...variational,
  ...sequences,
  ...pictures,
];
