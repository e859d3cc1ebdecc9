/** Two hosts on one machine: network namespaces with a link between them, as a launcher of MPI sees them. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Mpi } from './mpi';

const device = 'cable';
const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** Why this process may not make network namespaces; `undefined` where it may. */
export function refusal(): string | undefined {
  const name = `cgfac-${process.pid}-try`;
  try {
    ip('netns', 'add', name);
    ip('netns', 'del', name);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What ssh is to a launcher: runs a command on one of the hosts, which it knows by the end of its address. */
const agentOf = (hosts: readonly string[]) => `#!/bin/sh
while [ "\${1#-}" != "$1" ]; do shift; done
case $1 in *.1) host=${hosts[0]} ;; *) host=${hosts[1]} ;; esac
shift
exec ip netns exec "$host" unshare --uts sh -c "hostname $host; $*"
`;

/** The two hosts, and the link. */
export class TwoHosts {
  readonly device = device;
  readonly #mpi: Mpi;
  readonly #hosts: readonly string[];
  readonly #folder = mkdtempSync(join(tmpdir(), 'cgfac-hosts-'));

  constructor(mpi: Mpi) {
    this.#mpi = mpi;
    this.#hosts = [0, 1].map((index) => `cgfac-${process.pid}-${mpi}-${index}`);
    const [first = '', second = ''] = this.#hosts;
    for (const host of this.#hosts) ip('netns', 'add', host);
    ip('link', 'add', device, 'netns', first, 'type', 'veth', 'peer', 'name', device, 'netns', second);
    this.#hosts.forEach((host, index) => {
      ip('-n', host, 'addr', 'add', `10.77.0.${index + 1}/24`, 'dev', device);
      ip('-n', host, 'link', 'set', device, 'up');
      ip('-n', host, 'link', 'set', 'lo', 'up');
    });
    const isUp = (host: string) => / state UP /.test(ip('-n', host, 'link', 'show', device));
    const until = Date.now() + 5000;
    while (!this.#hosts.every(isUp)) if (Date.now() > until) throw new Error(`the link of ${mpi} does not come up`);
    writeFileSync(this.#agent, agentOf(this.#hosts));
    chmodSync(this.#agent, 0o755);
  }

  get #agent(): string {
    return join(this.#folder, 'agent.sh');
  }

  /** Starts a program with one rank on each host. */
  start(program: string, args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
    const network = '10.77.0.0/24';
    const words: Readonly<Record<Mpi, string[]>> = {
      openmpi: [
        ...['mpirun.openmpi', '--host', '10.77.0.1:1,10.77.0.2:1', '--mca', 'plm_rsh_agent', this.#agent],
        ...['--mca', 'pml', 'ob1', '--mca', 'btl', 'tcp,self', '--mca', 'btl_tcp_if_include', network],
        ...['--mca', 'oob_tcp_if_include', network],
      ],
      mpich: [
        ...['mpirun.mpich', '-launcher', 'ssh', '-launcher-exec', this.#agent, '-hosts', '10.77.0.1,10.77.0.2'],
        ...['-genv', 'UCX_TLS', 'tcp,self', '-genv', 'UCX_NET_DEVICES', device],
      ],
    };
    const launcher = ['timeout', '-k', '2', '25', ...words[this.#mpi], '-n', '2', process.execPath, program, ...args];
    return spawn('ip', ['netns', 'exec', this.#hosts[0] ?? '', ...launcher], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Cuts the link. */
  cut(): void {
    ip('-n', this.#hosts[1] ?? '', 'link', 'set', device, 'down');
  }

  /** Ends whatever runs on the hosts, and removes them. */
  close(): void {
    for (const host of this.#hosts) {
      for (const pid of ip('netns', 'pids', host).split('\n').filter(Boolean)) process.kill(Number(pid), 'SIGKILL');
      ip('netns', 'del', host);
    }
    rmSync(this.#folder, { recursive: true });
  }
}
