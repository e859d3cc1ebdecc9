const { endless } = require('./layer.cjs');
for (let i = 0; i < 6; i++) endless().catch(() => {});
setTimeout(() => {
  throw new Error('a defect of the program');
}, 20);
