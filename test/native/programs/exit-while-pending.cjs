const { endless } = require('./layer.cjs');
for (let i = 0; i < 6; i++) endless().catch(() => {});
setTimeout(() => {
  console.log('leaving');
  process.exit(0);
}, 20);
