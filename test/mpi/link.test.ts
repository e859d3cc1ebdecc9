/** Two hosts with a link between them: what goes over it, and what becomes of the ranks when it is cut. */
import { resolve } from 'node:path';
import { leftOf, type Mpi, mpiEnvironment, mpis, requireMpi } from '../support/mpi';
import { refusal, TwoHosts } from '../support/two-hosts';

const program = resolve(__dirname, 'programs/link.cjs');

/** Without namespaces (a container without CAP_NET_ADMIN) there are no two hosts, which is said aloud. */
const refused = refusal();
if (refused !== undefined) console.error(`NOT TESTED: ranks on two hosts, because ${refused}`);
const onTwoHosts = refused === undefined ? test : test.skip;

/** Something that happens once, and can be waited for. */
function event() {
  let happen = () => {};
  const happened = new Promise<void>((settle) => {
    happen = settle;
  });
  return { happened, happen: () => happen() };
}

beforeAll(requireMpi);

/** Two ranks that add up, until their link is cut. */
async function addAndCut(mpi: Mpi): Promise<void> {
  const hosts = new TwoHosts(mpi);
  try {
    const launcher = hosts.start(program, [hosts.device], mpiEnvironment());
    let output = '';
    const both = event();
    const failed = event();
    for (const stream of [launcher.stdout, launcher.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        if (output.match(/goes on$/gm)?.length === 2) both.happen();
        if (/leaves without finalize/.test(output)) failed.happen();
      });
    }
    launcher.once('close', () => {
      both.happen();
      failed.happen();
    });
    await both.happened;
    const shares = [...output.matchAll(/^rank \d shares (\S+) (\S+)$/gm)].flatMap(([, rx, tx]) => [+`${rx}`, +`${tx}`]);
    if (shares.length !== 2 * 2 * 5) throw new Error(`the ranks did not come so far: ${output}`);
    // 2 (P − 1)/P of the array each way, and headers; packets that are sent again come on top in some rounds
    expect(Math.min(...shares)).toBeGreaterThan(1);
    expect(Math.min(...shares)).toBeLessThan(1.02);
    // a refresh and the steps to the next one, by what plan() tells of them, and by what plain SGD would send
    const steps = [...output.matchAll(/^rank \d trains (\S+) (\S+)$/gm)].map(([, planned, sgd]) => [
      +`${planned}`,
      +`${sgd}`,
    ]);
    expect(steps).toHaveLength(2 * 2);
    const [least, ofSgd] = [0, 1].map((at) => Math.min(...steps.map((each) => each[at] ?? 0)));
    expect(least).toBeGreaterThan(0.98);
    expect(least).toBeLessThan(1.02);
    expect(ofSgd).toBeLessThanOrEqual(1.05);

    hosts.cut();
    await failed.happened;
    expect(output).toMatch(/on rank 0 of 2 to come to its end but .* within 4000 ms/);
    expect(output).toMatch(/cgfac: rank 0 of 2 .* leaves without finalize/);
    const pids = [...output.matchAll(/^process (\d+) is/gm)].map(([, pid]) => Number(pid));
    expect(pids).toHaveLength(2);
    expect(await leftOf(pids, 5000)).toEqual([]);
  } finally {
    hosts.close();
  }
}

onTwoHosts('a sum and a step cost what they are said to, and ranks end when the link is cut', async () => {
  await Promise.all(mpis.map(addAndCut));
});
