// What must hold before a tag, step by step: a name, what holds where the step passes, and what looks. A step that
// throws has failed; what it returns is told. A check of another kind, of another platform's binary for instance, is
// one more entry of this list.
import { changelog, repository, versions } from './papers.mjs';
import { builtFromSources, prebuilds } from './tarball.mjs';
import { run } from './tools.mjs';

const npx = (...args) => run('npx', args);
const consumers = (rows) => run('npx', ['jest', 'test/package'], { CGFAC_CONSUMERS: rows });

function tree() {
  const changed = run('git', ['status', '--porcelain']).trim();
  if (changed !== '') throw new Error(`Expected a clean tree but found\n${changed}`);
}

/** The closing line of what a program printed, which other output may stand behind: "N passed, N failed". */
const countsOf = (output) => output.match(/^\d+ passed, \d+ failed$/gm)?.at(-1);

/** The line of Jest's summary that counts tests. */
const testsOf = (output) => /^Tests: .*$/m.exec(output)?.[0];

export const steps = [
  { name: 'tree', holds: 'nothing is uncommitted', run: tree },
  { name: 'version', holds: 'package.json and package-lock.json have one version', run: versions },
  {
    name: 'changelog',
    holds: 'its newest entry has this version and a date, and nothing is unreleased',
    run: changelog,
  },
  {
    name: 'repository',
    holds: 'all addresses are those of the repository, and a tag is that of the version',
    run: repository,
  },
  { name: 'setup', holds: 'the checkout builds', run: () => void run('sh', ['scripts/setup.sh', '--test']) },
  { name: 'prebuilds', holds: 'the addons for this platform are made and load', run: prebuilds },
  { name: 'lint', holds: 'every static check passes', run: () => countsOf(run('npm', ['run', 'lint'])) },
  { name: 'tests', holds: 'every test passes', run: () => countsOf(run('npm', ['test'])) },
  { name: 'notices', holds: 'they name what is linked', run: () => testsOf(npx('jest', 'test/package/notices')) },
  {
    name: 'consumers',
    holds: 'each consumer works with the tarball; publint, attw',
    run: () => testsOf(consumers('all')),
  },
  { name: 'harm', holds: 'each consumer fails where the package is harmed', run: () => testsOf(consumers('spoiled')) },
  { name: 'build', holds: 'the tarball builds its addon by `cgfac build`', run: builtFromSources },
  {
    name: 'arm64',
    holds: 'linux-arm64 is cross-built, and works under qemu-user',
    run: () => countsOf(run('npm', ['run', 'test:arm64'])),
  },
  {
    name: 'roots',
    holds: 'bare systems of Debian 12 and 13 run what README says',
    run: () => countsOf(run('npm', ['run', 'test:roots'])),
  },
  { name: 'tree-after', holds: 'no step has changed what is committed', run: tree },
];
