const { spawnSync } = require('node:child_process');
const { endless } = require('./layer.cjs');
const controller = new AbortController();
const pending = Array.from({ length: 4 }, () => endless({ signal: controller.signal }));
let spawned = 0;
for (let i = 0; i < 10; i++) spawned += spawnSync('true').status === 0 ? 1 : 0;
controller.abort();
Promise.allSettled(pending).then((results) => {
  console.log('spawned', spawned, 'aborted', results.filter(({ reason }) => reason?.name === 'AbortError').length);
});
