// Steps that read: versions, the changelog, addresses.
import { manifest, read } from './tools.mjs';

const { version } = manifest;

/** Whether package.json and package-lock.json agree. */
export function versions() {
  if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) throw new Error(`Expected a semantic version but found ${version}`);
  const lock = JSON.parse(read('package-lock.json'));
  for (const found of [lock.version, lock.packages[''].version]) {
    if (found !== version) throw new Error(`Expected ${version} in package-lock.json but found ${found}`);
  }
  return version;
}

/** Whether the newest entry of the changelog is of this version, dated, and has everything. */
export function changelog() {
  const sections = read('CHANGELOG.md').split(/^## /m).slice(1);
  const [unreleased, newest = ''] = sections[0]?.startsWith('[Unreleased]') ? sections : ['', ...sections];
  if (unreleased.replace('[Unreleased]', '').trim() !== '') throw new Error('The changelog has unreleased entries');
  const [, found, date] = /^\[([^\]]+)\] - (\d{4}-\d{2}-\d{2})\n/.exec(newest) ?? [];
  if (found !== version)
    throw new Error(`Expected the entry "## [${version}] - DATE" first but found ${newest.split('\n')[0]}`);
  if (new Date(date) > new Date()) throw new Error(`The entry of ${version} is of ${date}, which is to come`);
  return `${version} of ${date}`;
}

/** Whether all addresses are those of one repository: that which a tag is made in, where a workflow says which. */
export function repository() {
  const address = /^git\+https:\/\/github\.com\/([\w.-]+\/[\w.-]+)\.git$/.exec(manifest.repository.url)?.[1];
  if (address === undefined) throw new Error(`Expected an address of GitHub but found ${manifest.repository.url}`);
  const page = `https://github.com/${address}`;
  const others = [manifest.homepage, manifest.bugs, ...read('SECURITY.md').matchAll(/<(https:\/\/github\.com[^>]+)>/g)];
  for (const found of others.map((each) => (typeof each === 'string' ? each : each[1]))) {
    if (!found.startsWith(page)) throw new Error(`Expected an address below ${page} but found ${found}`);
  }
  const { GITHUB_REPOSITORY, GITHUB_REF_TYPE, GITHUB_REF_NAME } = process.env;
  if (GITHUB_REPOSITORY !== undefined && GITHUB_REPOSITORY !== address) {
    throw new Error(`package.json names ${address}, and this is ${GITHUB_REPOSITORY}`);
  }
  if (GITHUB_REF_TYPE === 'tag' && GITHUB_REF_NAME !== `v${version}`) {
    throw new Error(`Expected the tag v${version} but received ${GITHUB_REF_NAME}`);
  }
  return GITHUB_REPOSITORY === undefined ? `${page}, which no workflow confirms here` : page;
}
