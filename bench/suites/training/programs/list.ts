import { classifications } from './classification';
import { convolutions } from './convolutions';
import type { Program } from './making';
import { measurements } from './measurements';
import { pictures } from './pictures';
import { regressions } from './regression';
import { sequences } from './sequences';
import { texts } from './text';
import { transformers } from './transformer';
import { variational } from './variational';

/** All programs of the suite `tasks`, in order. */
export const programs: readonly Program[] = [
  ...regressions,
  ...classifications,
  ...measurements,
  ...variational,
  ...sequences,
  ...pictures,
  ...convolutions,
  ...texts,
  ...transformers,
];
